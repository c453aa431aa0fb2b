//! What no crate but this one can write: the compiler is the first gate. Each case is a program of somebody else, and its `.stderr`
//! is why it does not compile; the twin does.

mod attacks {
    use std::marker::PhantomData;

    use clawmesh_authority::gate::Grant;
    use clawmesh_authority::{AuthorizedCommand, Observation, Proposal, SafingCommand};

    #[test]
    fn a_plugin_or_an_agent_that_makes_a_command_for_a_driver() {
        let cases = trybuild::TestCases::new();
        cases.compile_fail("tests/attacks/makes_a_command.rs");
        cases.compile_fail("tests/attacks/calls_what_makes_commands.rs");
        cases.compile_fail("tests/attacks/makes_a_safing_command.rs");
        cases.compile_fail("tests/attacks/makes_a_grant.rs");
        cases.compile_fail("tests/attacks/changes_a_command.rs");
        cases.compile_fail("tests/attacks/signs_without_a_key.rs");
        cases.pass("tests/attacks/asks_the_gate.rs");
    }

    struct Probe<T>(PhantomData<T>);

    impl<T: for<'b> minicbor::Decode<'b, ()>> Probe<T> {
        const IS_DECODED: bool = true;
    }

    impl<T: serde::de::DeserializeOwned> Probe<T> {
        const IS_READ: bool = true;
    }

    /// What holds for every type of which the above does not.
    trait NoBytes {
        const IS_DECODED: bool = false;
        const IS_READ: bool = false;
    }

    impl<T> NoBytes for Probe<T> {}

    #[test]
    fn bytes_that_say_they_are_a_command_or_a_grant() {
        let read =
            [Probe::<AuthorizedCommand>::IS_READ, Probe::<SafingCommand>::IS_READ, Probe::<Grant>::IS_READ];
        let decoded = [
            Probe::<AuthorizedCommand>::IS_DECODED,
            Probe::<SafingCommand>::IS_DECODED,
            Probe::<Grant>::IS_DECODED,
        ];
        assert_eq!((read, decoded), ([false; 3], [false; 3]), "no bytes make one");
        // The twin: bytes make an observation and a proposal, which move nothing.
        let harmless = [Probe::<Observation>::IS_READ, Probe::<Proposal>::IS_DECODED];
        assert_eq!(harmless, [true; 2]);
    }
}
