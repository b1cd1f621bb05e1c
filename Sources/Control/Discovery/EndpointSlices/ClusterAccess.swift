import AsyncHTTPClient
import NIOCore
import NIOSSL
import Reactor
import RoutesFile
import Traffic

/// Where the API server is and how one is let in: what the file says, else what a pod finds in its environment and in the
/// directory of its service account.
struct ClusterAccess: Sendable {
    static let accountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

    private let given: KubernetesSpec
    private let environment: [String: String]
    private let directory: String

    init(_ lookup: EndpointSliceLookup, environment: [String: String], directory: String = Self.accountDirectory) {
        var given = KubernetesSpec()
        given.namespace = lookup.namespace
        given.server = lookup.server
        given.tokenFile = lookup.tokenFile
        given.caFile = lookup.caFile
        self.init(given, environment: environment, directory: directory)
    }

    init(_ given: KubernetesSpec, environment: [String: String], directory: String = Self.accountDirectory) {
        self.given = given
        self.environment = environment
        self.directory = directory
    }

    /// Without a slash at the end.
    func server() throws(DiscoveryFailure) -> String {
        if let server = self.given.server { return server }
        guard let host = self.environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = self.environment["KUBERNETES_SERVICE_PORT"], !port.isEmpty
        else {
            throw DiscoveryFailure("no API server is named, and KUBERNETES_SERVICE_HOST and _PORT are not set")
        }
        return host.utf8.contains(UInt8(ascii: ":")) ? "https://[\(host)]:\(port)" : "https://\(host):\(port)"
    }

    var namespace: String {
        if let namespace = self.given.namespace { return namespace }
        return self.text(self.directory + "/namespace") ?? "default"
    }

    /// nil: none. Read from the file each time: clusters replace tokens while pods run. The pod's own token is not sent
    /// over plain HTTP; one that is named is.
    func token() throws(DiscoveryFailure) -> String? {
        if let file = self.given.tokenFile {
            guard let token = self.text(file) else { throw DiscoveryFailure("cannot read a token from \(file)") }
            return token
        }
        return self.isPlain ? nil : self.text(self.directory + "/token")
    }

    private var isPlain: Bool { self.given.server?.hasPrefix("http://") ?? false }

    /// The configuration of the client. The certificates of the CA file are the only ones trusted, if there is one.
    func configuration(idle: TimeAmount) -> HTTPClient.Configuration {
        var tls = TLSConfiguration.makeClientConfiguration()
        let file = self.given.caFile ?? self.directory + "/ca.crt"
        if self.given.caFile != nil || (try? WholeFile.read(file)) != nil { tls.trustRoots = .file(file) }
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(2), read: idle))
        configuration.httpVersion = .http1Only
        configuration.connectionPool.retryConnectionEstablishment = false
        return configuration
    }

    /// The text of a small file without white space around it; nil if it is empty or cannot be read.
    private func text(_ path: String) -> String? {
        guard let bytes = try? WholeFile.read(path) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).joined()
        return text.isEmpty ? nil : text
    }
}
