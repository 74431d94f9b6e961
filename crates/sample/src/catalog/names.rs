//! Given names and surnames.

/// Given names of women.
#[rustfmt::skip]
pub(crate) const FEMALE: [&str; 64] = [
    "Abigail", "Alice", "Amara", "Amelia", "Ana", "Angela", "Anita", "Aisha", "Beatriz", "Brenda",
    "Camila", "Carol", "Charlotte", "Chloe", "Clara", "Daniela", "Deborah", "Denise", "Donna",
    "Dorothy", "Elena", "Elizabeth", "Emily", "Esther", "Evelyn", "Fatima", "Florence", "Gloria",
    "Grace", "Hannah", "Harriet", "Helen", "Imani", "Ingrid", "Irene", "Isabel", "Jane", "Jasmine",
    "Joyce", "Judith", "Karen", "Keiko", "Laura", "Leila", "Linda", "Lucia", "Margaret", "Maria",
    "Mei", "Naomi", "Nora", "Olivia", "Patricia", "Priya", "Rachel", "Rosa", "Ruth", "Sandra",
    "Sarah", "Sofia", "Susan", "Teresa", "Victoria", "Yolanda",
];

/// Given names of men.
#[rustfmt::skip]
pub(crate) const MALE: [&str; 64] = [
    "Aaron", "Adam", "Ahmed", "Albert", "Andre", "Andrew", "Anthony", "Arjun", "Benjamin", "Brian",
    "Carlos", "Charles", "Christopher", "Daniel", "David", "Diego", "Dmitri", "Edward", "Eli",
    "Emmanuel", "Eric", "Ethan", "Francis", "Frank", "Gabriel", "George", "Gerald", "Harold",
    "Henry", "Hiroshi", "Hugo", "Ian", "Isaac", "Ivan", "Jacob", "James", "Jerome", "John",
    "Jose", "Joseph", "Kenneth", "Kevin", "Kwame", "Lamar", "Leonard", "Liam", "Luis", "Malik",
    "Marcus", "Martin", "Michael", "Nathan", "Noah", "Omar", "Oscar", "Patrick", "Paul", "Peter",
    "Rafael", "Raymond", "Samuel", "Thomas", "Victor", "William",
];

/// Surnames.
#[rustfmt::skip]
pub(crate) const FAMILY: [&str; 120] = [
    "Adams", "Adeyemi", "Allen", "Alvarez", "Andersen", "Bailey", "Baker", "Barnes", "Becker",
    "Bennett", "Brooks", "Brown", "Bryant", "Campbell", "Carter", "Castillo", "Chang", "Chen",
    "Clark", "Cohen", "Coleman", "Collins", "Cooper", "Costa", "Cruz", "Davis", "Diaz", "Dubois",
    "Edwards", "Evans", "Fernandez", "Fischer", "Fitzgerald", "Foster", "Garcia", "Gomez", "Gray",
    "Green", "Griffin", "Gupta", "Hall", "Hansen", "Harris", "Hayes", "Henderson", "Hernandez",
    "Hill", "Howard", "Hughes", "Ibrahim", "Ivanov", "Jackson", "James", "Jenkins", "Johnson",
    "Jones", "Kaminski", "Kelly", "Khan", "Kim", "King", "Kowalski", "Larsen", "Lee", "Lewis",
    "Li", "Lopez", "Martin", "Martinez", "Mbeki", "McCarthy", "Miller", "Mitchell", "Moore",
    "Morales", "Morgan", "Murphy", "Nakamura", "Nelson", "Nguyen", "O'Brien", "Okafor", "Ortiz",
    "Papadopoulos", "Park", "Parker", "Patel", "Pereira", "Perez", "Peterson", "Phillips", "Powell",
    "Price", "Ramirez", "Reed", "Reyes", "Richardson", "Rivera", "Roberts", "Robinson", "Rodriguez",
    "Rossi", "Russell", "Sanchez", "Sanders", "Schmidt", "Scott", "Silva", "Singh", "Smith",
    "Sullivan", "Suzuki", "Taylor", "Thompson", "Torres", "Turner", "Walker", "Washington",
    "Williams", "Young",
];
