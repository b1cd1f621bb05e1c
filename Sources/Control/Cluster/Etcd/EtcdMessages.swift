import FoundationEssentials

/// The JSON forms of etcd's gateway (etcd 3.4 to 3.6, `rpc.proto`). It writes 64-bit numbers as strings, bytes in base64, and
/// leaves out whatever is zero, empty or false.
enum Etcd {
    struct Header: Decodable {
        var revision: String?
        var clusterID: String?

        enum CodingKeys: String, CodingKey {
            case revision
            case clusterID = "cluster_id"
        }

        var number: UInt64 { self.revision.flatMap { UInt64($0) } ?? 0 }
    }

    struct KeyValue: Decodable {
        var key: Data?
        var value: Data?
        var modRevision: String?
        var createRevision: String?
        var lease: String?

        enum CodingKeys: String, CodingKey {
            case key, value, lease
            case modRevision = "mod_revision"
            case createRevision = "create_revision"
        }

        var name: String { String(decoding: self.key ?? Data(), as: UTF8.self) }
        var bytes: [UInt8] { Array(self.value ?? Data()) }
        var revision: UInt64 { self.modRevision.flatMap { UInt64($0) } ?? 0 }
        var creation: UInt64 { self.createRevision.flatMap { UInt64($0) } ?? 0 }
    }

    struct Range: Decodable {
        var header: Header?
        var kvs: [KeyValue]?
    }

    struct Transaction: Decodable {
        struct Response: Decodable {
            var range: Range?

            enum CodingKeys: String, CodingKey { case range = "response_range" }
        }

        var header: Header?
        /// Left out where a comparison failed, with status 200.
        var succeeded: Bool?
        var responses: [Response]?
    }

    struct Lease: Decodable {
        var ID: String?
        /// Left out for a lease that is over, with status 200.
        var TTL: String?
    }

    struct KeptAlive: Decodable { var result: Lease? }

    struct Token: Decodable { var token: String? }

    struct Watched: Decodable {
        struct Event: Decodable {
            /// `DELETE`; left out for a put.
            var type: String?
            var kv: KeyValue?
        }

        struct Result: Decodable {
            var header: Header?
            var canceled: Bool?
            var cancelReason: String?
            var compactRevision: String?
            var events: [Event]?

            enum CodingKeys: String, CodingKey {
                case header, canceled, events
                case cancelReason = "cancel_reason"
                case compactRevision = "compact_revision"
            }
        }

        struct Failure: Decodable {
            var message: String?
        }

        var result: Result?
        var error: Failure?
    }

    struct Failure: Decodable {
        var error: String?
        var message: String?
    }

    // MARK: requests

    static func bytes(_ text: some Sequence<UInt8>) -> String { Data(Array(text)).base64EncodedString() }
    static func bytes(_ text: String) -> String { Self.bytes(text.utf8) }

    /// What goes into a body: names and numbers of ours and base64 need no escape.
    static func put(_ key: String, _ value: [UInt8], lease: String? = nil) -> String {
        let lent = lease.map { ",\"lease\":\"\($0)\"" } ?? ""
        return "{\"request_put\":{\"key\":\"\(Self.bytes(key))\",\"value\":\"\(Self.bytes(value))\"\(lent)}}"
    }

    /// `end`: of all keys before it; without, of the one.
    static func delete(_ key: String, to end: String? = nil) -> String {
        "{\"request_delete_range\":\(Self.range(key, to: end))}"
    }

    static func range(_ key: String, to end: String? = nil, limit: Int? = nil) -> String {
        let rest =
            (end.map { ",\"range_end\":\"\(Self.bytes($0))\"" } ?? "") + (limit.map { ",\"limit\":\"\($0)\"" } ?? "")
        return "{\"key\":\"\(Self.bytes(key))\"\(rest)}"
    }

    static func transaction(if conditions: [String], then: [String], else other: [String] = []) -> String {
        func list(_ items: [String]) -> String { items.joined(separator: ",") }
        return "{\"compare\":[\(list(conditions))],\"success\":[\(list(then))],\"failure\":[\(list(other))]}"
    }

    static func isAt(_ key: String, revision: UInt64) -> String {
        "{\"target\":\"MOD\",\"key\":\"\(Self.bytes(key))\",\"mod_revision\":\"\(revision)\"}"
    }

    static func wasCreated(_ key: String, at revision: UInt64) -> String {
        "{\"target\":\"CREATE\",\"key\":\"\(Self.bytes(key))\",\"create_revision\":\"\(revision)\"}"
    }
}
