import FoundationEssentials
import JSONText

/// The parts of ConfigMaps (v1) and Leases (coordination.k8s.io/v1) that replicas read and write. The API server leaves out
/// what is empty.
enum Kubernetes {
    struct Metadata: Decodable {
        var name: String?
        var resourceVersion: String?
        var annotations: [String: String]?
    }

    struct LeaseSpec: Decodable {
        var holderIdentity: String?
        var leaseTransitions: UInt64?
    }

    /// Of either kind, or a Status.
    struct Object: Decodable {
        var metadata: Metadata?
        /// Of a ConfigMap.
        var data: [String: String]?
        /// Of a Lease.
        var spec: LeaseSpec?
        /// Of a Status.
        var code: Int?
        var message: String?

        var name: String { self.metadata?.name ?? "" }
        /// nil: it is no number, and nothing can be told by it.
        var version: UInt64? { self.metadata?.resourceVersion.flatMap { UInt64($0) } }
        /// What is told of stages' runs, each by its name.
        var counters: [JSONMember] {
            guard let text = self.metadata?.annotations?[Kubernetes.counters],
                case .object(let members)? = (try? JSONReader.read(Array(text.utf8), nodes: 200_000))?.content
            else { return [] }
            return members
        }
        var presence: [UInt8]? { self.metadata?.annotations?[Kubernetes.presence].map { Array($0.utf8) } }
    }

    struct List: Decodable {
        var metadata: Metadata?
        var items: [Object]?
    }

    struct Event: Decodable {
        var type: String
        var object: Object
    }

    static let label = "balancer.w3f/cluster"
    static let counters = "balancer.w3f/counters"
    static let presence = "balancer.w3f/presence"

    /// The pod that objects go with; nil: not known.
    struct Owner: Sendable {
        var name: String
        var uid: String

        init?(_ environment: [String: String]) {
            guard let name = environment["POD_NAME"], !name.isEmpty, let uid = environment["POD_UID"], !uid.isEmpty
            else { return nil }
            self.name = name
            self.uid = uid
        }
    }

    // MARK: writing

    static func metadata(
        _ name: String, label: String = Kubernetes.label, cluster: String, version: UInt64?, presence: [UInt8]? = nil,
        owner: Owner? = nil
    ) -> JSONValue {
        self.metadata(
            name, label: label, cluster: cluster, version: version, annotation: presence.map { (Self.presence, $0) },
            owner: owner)
    }

    static func metadata(
        _ name: String, label: String, cluster: String, version: UInt64?, annotation: (name: String, text: [UInt8])?,
        owner: Owner?
    ) -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("name", .text(name)), ("labels", .object([(label, .text(cluster))])),
        ]
        if let version { members.append(("resourceVersion", .text("\(version)"))) }
        if let annotation {
            let text = JSONValue.text(String(decoding: annotation.text, as: UTF8.self))
            members.append(("annotations", .object([(annotation.name, text)])))
        }
        if let owner {
            let reference: [(String, JSONValue)] = [
                ("apiVersion", .text("v1")), ("kind", .text("Pod")), ("name", .text(owner.name)),
                ("uid", .text(owner.uid)),
            ]
            members.append(("ownerReferences", JSONValue(.array([.object(reference)]))))
        }
        return .object(members)
    }

    static func configMap(_ metadata: JSONValue, _ key: String, _ text: [UInt8]) -> [UInt8] {
        JSONValue.object([
            ("apiVersion", .text("v1")), ("kind", .text("ConfigMap")), ("metadata", metadata),
            ("data", .object([(key, .text(String(decoding: text, as: UTF8.self)))])),
        ]).bytes
    }

    /// `at`: milliseconds since 1970, for people and other tools; replicas judge by when they see it change.
    static func lease(
        _ metadata: JSONValue, holder: String, seconds: UInt64, transitions: UInt64, at now: UInt64
    ) -> [UInt8] {
        // MicroTime has six digits.
        let time = JSONValue.text(Timestamp.iso8601(now).dropLast() + "000Z")
        return JSONValue.object([
            ("apiVersion", .text("coordination.k8s.io/v1")), ("kind", .text("Lease")), ("metadata", metadata),
            (
                "spec",
                .object([
                    ("holderIdentity", .text(holder)), ("leaseDurationSeconds", .number(seconds)),
                    ("renewTime", time), ("leaseTransitions", .number(transitions)),
                ])
            ),
        ]).bytes
    }
}
