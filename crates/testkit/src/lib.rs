//! What tests need: clocks that obey, chance that repeats, ports that fail when told, and a small
//! source.

mod clock;
pub mod compartments;
mod entropy;
pub mod exported;
mod fault_proxy;
mod faults;
mod faulty;
mod forge;
pub mod openapi;
mod program;
mod refused;
mod show;
pub mod small;
mod source;
mod stack;

pub use clock::{ManualClock, PausedClock};
pub use entropy::SeededEntropy;
pub use fault_proxy::{Behaviour, FaultProxy};
pub use faults::{Faults, When};
pub use faulty::Faulty;
pub use forge::{Forger, base64url};
pub use program::program;
pub use refused::refuses_what_cannot_work;
pub use show::show;
pub use source::{Reading, SmallSource};
pub use stack::stack;
