/** A JSON value: what travels, is journaled and is hashed. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
