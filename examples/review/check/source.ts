const CODE = /\.(?:[cm]?[jt]sx?|py|go|rb|java|kt|rs|php|cs|c|h|cc|cpp|swift|scala)$/;
const TEST =
  /(?:^|\/)(?:tests?|specs?|__tests__|fixtures?|testdata)\/|[._-](?:test|spec)\.[^/]+$|(?:^|\/)test_[^/]+\.py$/;
const MADE =
  /(?:^|\/)(?:dist|build|vendor|node_modules)\/|(?:^|\/)[^/]*(?:lock\.(?:json|yaml)|\.lock|\.min\.js|\.sum)$/;

export const isTest = (path: string): boolean => CODE.test(path) && TEST.test(path);
export const isSource = (path: string): boolean => CODE.test(path) && !TEST.test(path) && !MADE.test(path);
export const isMade = (path: string): boolean => MADE.test(path);
export const isPython = (path: string): boolean => path.endsWith(".py");
export const isScript = (path: string): boolean => /\.[cm]?[jt]sx?$/.test(path);

/** A source text of the same length, in which comments, and on wish what stands in quotes, are blank. Knows the
 *  comments and quotes of C-like languages and of Python; of a template literal the parts in `${ }` stay. */
export function masked(text: string, path: string, what: { strings: boolean }): string {
  const hash = isPython(path) || path.endsWith(".rb");
  const token = hash ? PYTHON : C_LIKE;
  return text.replace(token, (found) => {
    const isComment = hash ? found.startsWith("#") : /^\/[/*]/.test(found);
    if (isComment) return blank(found);
    if (!what.strings || !/^["'`]/.test(found)) return found;
    return found.startsWith("`") ? found.replace(/(^|\})(?:[^$]|\$(?!\{))*?(?=\$\{|$)/g, blank) : blank(found);
  });
}

const C_LIKE =
  /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[\s\S]|[^`\\])*`|(?<=[=(,:[!&|?{;]\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])*\//g;
const PYTHON = /#[^\n]*|"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g;
const blank = (text: string): string => text.replace(/[^\n]/g, " ");
