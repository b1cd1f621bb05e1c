import CMongoC
import Foundation
import Synchronization

@testable import Documents

/// A MongoDB wire server of a test's own: a process that ends with the test, or when it is stopped.
final class WireServer: Sendable {
    let port: Int
    private let process: Mutex<Process>
    private let input: Pipe

    /// Whether the environment names a Python that has the server's packages. `with-wire-server` sees to that.
    static var isAvailable: Bool { python != nil }

    private static var python: String? { ProcessInfo.processInfo.environment["GATEWAY_TEST_PYTHON"] }

    /// One server for all tests that do nothing to it but read and write; each has a database of its own.
    static let shared = Result { try WireServer() }

    struct DidNotStart: Error {}

    /// - Parameters:
    ///   - port: 0 takes any free one.
    ///   - versions: those of the wire protocol that it says it speaks.
    init(port: Int = 0, versions: ClosedRange<Int> = 0...17) throws {
        guard let python = Self.python else { throw DidNotStart() }
        let script = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("WireServer/wire_server.py")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = [script.path, String(port), String(versions.lowerBound), String(versions.upperBound)]
        let output = Pipe()
        input = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        // The port is the one line it prints.
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard let port = Int(line.trimmingCharacters(in: .whitespacesAndNewlines)) else { throw DidNotStart() }
        self.port = port
        self.process = Mutex(process)
    }

    deinit {
        stop()
    }

    /// Kills the server and waits until it is gone.
    func stop() {
        process.withLock { process in
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
            process.waitUntilExit()
        }
    }

    var isRunning: Bool { process.withLock { $0.isRunning } }

    func uri(_ database: String, _ options: String = "") -> String {
        "mongodb://127.0.0.1:\(port)/\(database)?maxPoolSize=2\(options)"
    }

    /// A command that takes one number, sent with a client of its own.
    func command(_ name: String, _ value: Int32) throws {
        try command { $0.int32(name, value) }
    }

    func command(_ body: (inout BSONWriter) -> Void) throws {
        var writer = BSONWriter()
        writer.document(body)
        try MongoWriter(uri: uri("admin")).run(writer.bytes, database: "admin")
    }

    /// How many documents queries have read since this was asked last.
    func documentsRead() throws -> Int { try number("testRead") }

    /// How many cursors are open.
    func openCursors() throws -> Int { try number("testCursors") }

    private func number(_ command: String) throws -> Int {
        var writer = BSONWriter()
        writer.document { $0.int32(command, 1) }
        let reply = try MongoWriter(uri: uri("admin")).run(writer.bytes, database: "admin")
        let bytes = reply.span
        guard let element = try bytes.element("n", inDocument: 0), let count = bytes.number(of: element) else {
            return 0
        }
        return Int(count)
    }
}

/// Puts documents into a MongoDB database, for tests: the gateway itself never writes.
struct MongoWriter {
    let uri: String

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Runs a command and returns the reply's BSON.
    @discardableResult
    func run(_ command: [UInt8], database: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try withClient { client in
            try withDocument(command) { command in
                var error = bson_error_t()
                let reply = bson_new()
                defer { bson_destroy(reply) }
                guard mongoc_client_command_simple(client, database, command, nil, reply, &error) else {
                    throw failure(error)
                }
                guard let reply, let data = bson_get_data(reply) else { return }
                let length = UnsafeRawPointer(data).loadUnaligned(as: Int32.self).littleEndian
                bytes = Array(UnsafeRawBufferPointer(start: data, count: Int(length)))
            }
        }
        return bytes
    }

    /// Inserts the documents in their order.
    func insert(_ documents: DocumentBatch, into collection: Collection, database: String) throws {
        for start in stride(from: 0, to: documents.count, by: 1000) {
            var writer = BSONWriter()
            let chunk = start..<min(start + 1000, documents.count)
            writer.document { writer in
                writer.string("insert", collection.rawValue)
                writer.array("documents", count: chunk.count) { writer, index, key in
                    writer.raw(.document, key, documents.bytes[documents.range(chunk.lowerBound + index)])
                }
            }
            try run(writer.bytes, database: database)
        }
    }

    func drop(_ database: String) throws {
        var writer = BSONWriter()
        writer.document { $0.int32("dropDatabase", 1) }
        try run(writer.bytes, database: database)
    }

    // Tests bring servers down on purpose; what the driver says of it on standard error helps nobody.
    private static let isSilent: Void = MongoStore.redirectLog { _, _ in }

    private func withClient(_ body: (OpaquePointer) throws -> Void) throws {
        mongoc_init()
        _ = Self.isSilent
        guard let client = mongoc_client_new(uri) else { throw Failure(description: "no client for the URI") }
        defer { mongoc_client_destroy(client) }
        mongoc_client_set_error_api(client, 2)
        try body(client)
    }

    private func withDocument(_ bytes: [UInt8], _ body: (OpaquePointer) throws -> Void) throws {
        guard let document = bson_new_from_data(bytes, bytes.count) else { throw Failure(description: "no BSON") }
        defer { bson_destroy(document) }
        try body(document)
    }

    private func failure(_ error: bson_error_t) -> Failure {
        withUnsafeBytes(of: error.message) {
            Failure(description: String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self))
        }
    }
}
