/** What may have happened to somebody with a rented bike. */
export interface Situation {
  /** How often, against the others. */
  share: number;
  team: "safety" | "money" | "fault" | "access" | "lost" | "other";
  /** Probability that it turned out to be harmful: somebody was hurt, or could have been. */
  harm: number;
  says: readonly string[];
  details: readonly string[];
}

export const SITUATIONS: readonly Situation[] = [
  {
    share: 5,
    team: "safety",
    harm: 0.9,
    says: [
      "The brakes failed on the way down and I crashed into a fence.",
      "The front brake did nothing and I fell.",
      "No brake at all, I ended up in a hedge and hurt my wrist.",
    ],
    details: [
      "I had to see a doctor.",
      "My knee is bleeding and swollen.",
      "The ambulance came.",
      "I broke my glasses.",
    ],
  },
  {
    share: 3,
    team: "safety",
    harm: 0.85,
    says: [
      "The battery started to smoke while I was riding.",
      "There was a burning smell and the battery got very hot.",
      "Sparks came out of the battery box.",
    ],
    details: ["I dropped it and walked away.", "A neighbour called the fire brigade.", "It melted the plastic."],
  },
  {
    share: 4,
    team: "safety",
    harm: 0.7,
    says: [
      "The handlebar came loose in traffic and I nearly went under a car.",
      "A pedal broke off while crossing the road and I fell.",
      "The wheel locked and threw me over the handlebar.",
    ],
    details: ["A bus had to stop hard.", "I have bruises on both arms.", "Luckily a helmet was on."],
  },
  {
    share: 3,
    team: "safety",
    harm: 0.15,
    says: [
      "The bell is missing, nobody was hurt.",
      "The light did not work, no accident happened.",
      "The reflector is gone, not dangerous by day I guess.",
    ],
    details: ["Just so that you know.", "It is getting dark early now."],
  },
  {
    share: 9,
    team: "fault",
    harm: 0.06,
    says: [
      "The chain came off twice.",
      "The gears slip and the motor gives no help.",
      "The tyre was flat when I took it.",
      "The display stays dark and the motor is dead.",
    ],
    details: ["I had to push it home.", "It killed my whole afternoon.", "Somebody should repair it."],
  },
  {
    share: 4,
    team: "fault",
    harm: 0.35,
    says: [
      "The brakes squeal and grip late.",
      "The saddle slips down while riding.",
      "The frame has a crack near the pedals.",
    ],
    details: ["I rode slowly.", "It does not feel safe.", "Please take it off the street."],
  },
  {
    share: 10,
    team: "money",
    harm: 0.02,
    says: [
      "I was charged twice for one ride.",
      "The refund that you promised never came.",
      "You billed me for a whole day although I rode ten minutes.",
      "My card was charged but no bike was released.",
    ],
    details: ["That is 14 euros.", "My bank shows both bookings.", "I want my money back."],
  },
  {
    share: 4,
    team: "money",
    harm: 0.01,
    says: [
      "The discount code was not accepted.",
      "Where do I find the invoice for August?",
      "Your fire sale price was not applied.",
    ],
    details: ["The receipt says something else.", "I need it for my employer."],
  },
  {
    share: 9,
    team: "access",
    harm: 0.02,
    says: [
      "I cannot log in since the update.",
      "The app crashes when I open the map.",
      "The code to reset my password never arrives.",
      "The lock did not open although the app says unlocked.",
    ],
    details: ["My phone died right after.", "I tried three times.", "Other apps work."],
  },
  {
    share: 2,
    team: "access",
    harm: 0.3,
    says: ["Somebody else rides on my account.", "My account was hacked and the address was changed."],
    details: ["I got a mail about a ride that was not mine.", "Please block it."],
  },
  {
    share: 6,
    team: "lost",
    harm: 0.02,
    says: [
      "I left my bag in the basket.",
      "I forgot a blue jacket on the bike.",
      "I lost my keys somewhere at the station.",
    ],
    details: ["My wallet is in it.", "Did somebody hand it in?", "It is worth nothing but dear to me."],
  },
  {
    share: 7,
    team: "other",
    harm: 0.02,
    says: [
      "There are never bikes here in the morning.",
      "Bikes block the pavement in front of our house.",
      "When does the new station open?",
      "I would like to praise your friendly staff.",
    ],
    details: ["It is the same every day.", "My neighbour says so too.", "Others in town do better."],
  },
];

export const OPENERS = [
  "Hello,",
  "Hi there,",
  "To whom it may concern,",
  "Good morning.",
  "This is the second bike today.",
  "I am a customer since 2021.",
  "",
] as const;
export const PLACES = [
  "the main station",
  "Harbour Street",
  "the university",
  "Mill Lane 12",
  "the old bridge",
  "the market",
  "Garden Road",
  "the hospital",
  "the fire station",
  "the swimming pool",
] as const;
export const CLOSERS = [
  "Please call me back.",
  "Regards",
  "Thank you.",
  "I expect an answer.",
  "Sent from my phone",
  "",
] as const;
