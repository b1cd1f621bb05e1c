import Glibc
import Reactor
import Testing

@Suite("Whole files")
struct WholeFileTests {
    private static func path(_ text: String) -> String {
        var template = Array("/tmp/whole-file-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        _ = text.withCString { write(descriptor, $0, strlen($0)) }
        close(descriptor)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    @Test("A file is read whole, or to the bound")
    func bound() throws {
        let path = Self.path("0123456789")
        defer { unlink(path) }
        #expect(try WholeFile.read(path) == Array("0123456789".utf8))
        #expect(try WholeFile.read(path, limit: 4) == Array("0123".utf8))
        #expect(try WholeFile.read("/dev/zero").count == WholeFile.limit, "one without an end too")
        #expect(try WholeFile.read("/proc/self/maps").count > 0, "and one that does not tell its size")
    }

    @Test("What cannot be read is told by its errno")
    func errors() {
        #expect(throws: SystemError(operation: "open", code: ENOENT)) { try WholeFile.read("/nonexistent/file") }
        #expect(throws: SystemError(operation: "read", code: EISDIR)) { try WholeFile.read("/tmp") }
    }

    @Test("A pipe without a writer is waited for only if that is wanted")
    func pipe() throws {
        let path = Self.path("")
        unlink(path)
        #expect(mkfifo(path, 0o600) == 0)
        defer { unlink(path) }
        #expect(try WholeFile.read(path, waits: false) == [])
    }
}
