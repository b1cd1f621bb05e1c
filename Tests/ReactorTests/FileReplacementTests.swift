import Foundation
import Glibc
import Reactor
import Testing

@Suite("Replacing a file") struct FileReplacementTests {
    private final class Folder {
        let path: String
        init() {
            var template = Array("/tmp/replacement-XXXXXX".utf8CString)
            mkdtemp(&template)
            self.path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        deinit { try? FileManager.default.removeItem(atPath: self.path) }
        func write(_ name: String, _ text: String) throws -> String {
            try text.write(toFile: self.path + "/" + name, atomically: false, encoding: .utf8)
            return self.path + "/" + name
        }
        var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: self.path)) ?? []).sorted() }
    }

    private static func status(_ path: String) -> stat {
        var status = stat()
        stat(path, &status)
        return status
    }

    @Test("The new content is there whole, by another inode, with owner and mode of the old; nothing is left beside it")
    func replaces() throws {
        let folder = Folder()
        let path = try folder.write("a.json", "old")
        #expect(chmod(path, 0o640) == 0)
        if geteuid() == 0 { #expect(chown(path, 12_345, 54_321) == 0) }
        let before = Self.status(path)
        try FileReplacement(of: path).put(Array("new content".utf8))
        let after = Self.status(path)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "new content")
        #expect(after.st_ino != before.st_ino && after.st_mode == before.st_mode)
        #expect(after.st_uid == before.st_uid && after.st_gid == before.st_gid)
        #expect(folder.names == ["a.json"])
    }

    @Test("A link stays a link: what it leads to is replaced")
    func links() throws {
        let folder = Folder()
        let path = try folder.write("release.json", "old")
        #expect(symlink("release.json", folder.path + "/routes.json") == 0)
        try FileReplacement(of: folder.path + "/routes.json").put(Array("new".utf8))
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "new")
        #expect(
            try FileManager.default.destinationOfSymbolicLink(atPath: folder.path + "/routes.json") == "release.json")
    }

    @Test("One that is not put changes nothing and leaves nothing")
    func abandoned() throws {
        let folder = Folder()
        let path = try folder.write("a.json", "old")
        do {
            let replacement = try FileReplacement(of: path)
            #expect(folder.names.count == 2)
            withExtendedLifetime(replacement) {}
        }
        #expect(folder.names == ["a.json"] && Self.status(path).st_size == 3)
    }

    @Test("What cannot be replaced is told: what is missing, no file, or not to be written")
    func refused() throws {
        let folder = Folder()
        #expect(throws: SystemError(operation: "realpath", code: ENOENT)) {
            try FileReplacement(of: folder.path + "/none")
        }
        #expect(throws: SystemError.self) { try FileReplacement(of: folder.path) }
        #expect(throws: SystemError.self) { try FileReplacement(of: "/proc/version") }
        // Root may write everything but a file system that is read-only.
        guard geteuid() != 0 else { return }
        let path = try folder.write("a.json", "old")
        #expect(chmod(path, 0o444) == 0)
        #expect(throws: SystemError(operation: "access", code: EACCES)) { try FileReplacement(of: path) }
    }
}
