import Glibc
import TestSupport
import Testing

/// What the programs under test get from the tests' process: nothing that their own limits would count, and no end of a
/// connection that stays open when the tests close theirs.
@Suite("Descriptors of programs under test", .serialized) struct InheritedDescriptorScenarios {
    @Test("A program under test is given its three standard descriptors and none of what the tests hold")
    func none() throws {
        // As a library or a test may leave it: open across exec.
        let held = (0..<50).map { _ in open("/dev/null", O_RDONLY) }
        defer { for descriptor in held { close(descriptor) } }
        #expect(held.allSatisfy { $0 >= 0 })
        let program = try Program(path: "/bin/ls", ["/proc/self/fd"])
        #expect(program.awaitExit() == 0)
        // The fourth is the folder that `ls` reads.
        #expect(program.output == ["0", "1", "2", "3"])
    }
}
