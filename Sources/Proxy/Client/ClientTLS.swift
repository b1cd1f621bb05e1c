import HTTPWire
import Reactor
import Traffic

/// What a client's TLS connection has agreed on, for its requests and their log lines.
final class ClientTLS {
    let facts: TLSFacts
    /// The library's own memory, which is never freed.
    let cipher: UnsafeRawBufferPointer
    /// The name that the client asked for, in lower case; empty: none.
    let serverName: [UInt8]
    private let server: TLSServer
    let isHostStrict: Bool
    /// A whole field line; empty: nothing is asked of clients (RFC 6797).
    let strictTransport: [UInt8]
    /// What `certificateLines` made. Allocated here, and freed with this object.
    private var lines: UnsafeMutableRawBufferPointer?

    init(_ channel: borrowing Channel, _ facts: TLSFacts, server: TLSServer, plan: ListenerPlan) {
        self.facts = facts
        self.cipher = channel.cipherName()
        self.serverName = channel.serverName().map { ASCII.lowercased($0) }
        self.server = server
        self.isHostStrict = plan.spec.tls?.isHostStrict ?? false
        self.strictTransport = plan.strictTransport
    }

    deinit { self.lines?.deallocate() }

    /// Lines that tell of the client's certificate (RFC 9440); nil: it has shown none. Made with the first request that needs
    /// them.
    func certificateLines(_ channel: borrowing Channel) -> UnsafeRawBufferPointer? {
        if self.lines == nil {
            let made = CertificateLines.make(channel.peerCertificates())
            let lines = UnsafeMutableRawBufferPointer.allocate(byteCount: made.count, alignment: 1)
            lines.copyBytes(from: made)
            self.lines = lines
        }
        return self.lines.flatMap { $0.isEmpty ? nil : UnsafeRawBufferPointer($0) }
    }

    /// Whether the certificate in use names the host of a request (RFC 9110 15.5.20). `host` may have a port.
    func names(_ host: borrowing Span<UInt8>, _ range: Range<Int>) -> Bool {
        var name: [UInt8] = []
        name.reserveCapacity(range.count)
        for index in range { name.append(ASCII.lowercased(host[index])) }
        // Behind the brackets of an IPv6 address, which no certificate is chosen by.
        if name.first != 0x5B, let colon = name.firstIndex(of: 0x3A) { name.removeSubrange(colon...) }
        return name.withUnsafeBytes { name in
            self.serverName.withUnsafeBytes { self.server.names(name, asked: $0) }
        }
    }
}
