/// The parts of a Kubernetes EndpointSlice (discovery.k8s.io/v1) that decide where requests may go, of a list of them,
/// and of the events of a watch. All fields may be missing: the API server leaves out what is empty.
struct EndpointSliceObject: Decodable, Sendable {
    struct Metadata: Decodable, Sendable {
        var name: String?
        var resourceVersion: String?
    }

    struct Conditions: Decodable, Sendable {
        var ready: Bool?
        var serving: Bool?
        var terminating: Bool?
    }

    struct Member: Decodable, Sendable {
        var addresses: [String]?
        var conditions: Conditions?
    }

    struct Port: Decodable, Sendable {
        var name: String?
        var port: Int?
        var `protocol`: String?
    }

    var metadata: Metadata?
    var addressType: String?
    var endpoints: [Member]?
    var ports: [Port]?
    /// Of a Status, which an ERROR event carries.
    var code: Int?
    var message: String?
}

struct EndpointSliceList: Decodable, Sendable {
    var metadata: EndpointSliceObject.Metadata?
    var items: [EndpointSliceObject]?
}

struct EndpointSliceEvent: Decodable, Sendable {
    var type: String
    var object: EndpointSliceObject
}
