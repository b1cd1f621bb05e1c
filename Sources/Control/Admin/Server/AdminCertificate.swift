import NIOSSL
import Reactor
import RoutesFile
import Synchronization
import Traffic

/// What the admin API shows to those who ask by TLS. Replaced while it serves: new connections get the new one.
package final class AdminCertificate: Sendable {
    private let current = Mutex<NIOSSLContext?>(nil)

    package init() {}

    /// nil: none was set yet.
    var context: NIOSSLContext? { self.current.withLock { $0 } }

    func set(_ context: NIOSSLContext) { self.current.withLock { $0 = context } }

    /// Of files that were read. Throws what the library says of them.
    static func context(_ tls: AdminTLS) throws(TLSRefused) -> NIOSSLContext {
        do {
            let chain = try NIOSSLCertificate.fromPEMBytes(tls.chain.bytes)
            let key = try NIOSSLPrivateKey(bytes: tls.key.bytes, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSRefused("\(error)")
        }
    }
}
