//! How the program starts, and says why it does not. That it is tested here has cargo build it for
//! the tests of whole systems too.

#[test]
fn what_cannot_work_is_refused_in_plain_words() {
    sluice_testkit::refuses_what_cannot_work(env!("CARGO_BIN_EXE_sluice-worker"));
}
