//! The scripts: each one operation that Redis carries out at one go.
//!
//! A script checks first and writes last, as Redis undoes nothing; asks Redis for the time, so
//! that no worker's clock matters; and changes nothing more when it is called again because a
//! reply was lost (E5).

use redis::Script;

macro_rules! scripts {
    ($($name:ident),+) => {
        /// The scripts by name. Redis forgets them when it restarts; they are sent again then (E6).
        pub(crate) struct Scripts {
            $(pub(crate) $name: Script,)+
        }

        impl Scripts {
            pub(crate) fn new() -> Self {
                Self {
                    $($name: Script::new(include_str!(concat!("lua/", stringify!($name), ".lua"))),)+
                }
            }
        }
    };
}

scripts!(
    list,
    unlist,
    insert,
    get,
    planned,
    take_window,
    chunk_done,
    chunk_failed,
    inside,
    chunk_progress,
    end,
    lease,
    renew,
    give_back,
    claim,
    first_use,
    spend
);
