import COpenSSL
import Traffic

/// A listener's certificates as one worker uses them. Made off the workers' threads, used by one of them, and alive as long
/// as its last connection.
package final class TLSServer: Sendable {
    /// What the contexts' callbacks read: written in `init`, before the first session.
    nonisolated(unsafe) private let listener: UnsafeMutablePointer<copenssl_listener>
    private let library: TLSLibrary
    /// One for each set of names, the first of the first certificate. One worker makes sessions of them; nothing is written after
    /// `init`.
    nonisolated(unsafe) private let contexts: [OpaquePointer]
    /// By lower-case name; by what follows `*.`.
    private let exact: [[UInt8]: Int]
    private let wildcards: [[UInt8]: Int]
    /// Names of each context, those with `*.` in front as they are.
    private let names: [Set<[UInt8]>]
    private let refusesUnknown: Bool
    private let tickets: TicketKeys?

    /// Throws with what is wrong in words that follow the JSON path of the listener's `tls`.
    package init(
        _ spec: ListenerTLS, _ groups: [CertificateGroup], listener name: String, http2: Bool, tickets: TicketKeys?,
        library: TLSLibrary
    ) throws(TLSRefused) {
        let listener = UnsafeMutablePointer<copenssl_listener>.allocate(capacity: 1)
        listener.initialize(
            to: copenssl_listener(
                choose: { owner, name, length in
                    guard let owner else { return nil }
                    return Unmanaged<TLSServer>.fromOpaque(owner)._withUnsafeGuaranteedRef {
                        $0.context(for: UnsafeRawBufferPointer(start: name, count: length))
                    }
                },
                owner: nil, tickets: tickets?.pointer, http2: http2,
                ticket_seconds: UInt64(spec.tickets?.rotation ?? 0) * 2))
        var contexts: [OpaquePointer] = []
        var exact: [[UInt8]: Int] = [:]
        var wildcards: [[UInt8]: Int] = [:]
        var names: [Set<[UInt8]>] = []
        do throws(TLSRefused) {
            for group in groups {
                let context = try Self.makeContext(
                    spec, group, listenerName: name, listener: listener, library: library.pointer)
                let index = contexts.count
                contexts.append(context)
                names.append(Set(group.names.map { Array($0.utf8) }))
                // The first that has a name keeps it.
                for name in group.names {
                    if name.hasPrefix("*.") {
                        let rest = Array(name.dropFirst(2).utf8)
                        if wildcards[rest] == nil { wildcards[rest] = index }
                    } else if exact[Array(name.utf8)] == nil {
                        exact[Array(name.utf8)] = index
                    }
                }
            }
            guard !contexts.isEmpty else { throw TLSRefused("has no certificate") }
        } catch {
            for context in contexts { copenssl_context_free(context) }
            listener.deallocate()
            throw error
        }
        self.listener = listener
        self.library = library
        self.contexts = contexts
        self.exact = exact
        self.wildcards = wildcards
        self.names = names
        self.refusesUnknown = spec.unknownName == .refused
        self.tickets = tickets
        listener.pointee.owner = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit {
        for context in self.contexts { copenssl_context_free(context) }
        self.listener.deallocate()
    }

    /// A session for a connection that was accepted; nil: no memory.
    func accept(_ memory: TLSMemory) -> OpaquePointer? { copenssl_accepting(self.contexts[0], memory.bio) }

    /// Whether the certificate that is shown to clients that ask for `asked` names `host` too. Both in lower case, without port.
    package func names(_ host: UnsafeRawBufferPointer, asked: UnsafeRawBufferPointer) -> Bool {
        let names = self.names[self.index(for: asked) ?? 0]
        let host = Array(host)
        if names.contains(host) { return true }
        guard let dot = host.firstIndex(of: 0x2E), dot > 0 else { return false }
        return names.contains([0x2A] + host[dot...])
    }

    // MARK: names

    private func context(for name: UnsafeRawBufferPointer) -> OpaquePointer? {
        if name.isEmpty { return self.contexts[0] }
        if let index = self.index(for: name) { return self.contexts[index] }
        return self.refusesUnknown ? nil : self.contexts[0]
    }

    /// Exact names before `*.`, which stands for one label (RFC 6125 6.4.3).
    private func index(for name: UnsafeRawBufferPointer) -> Int? {
        let bytes = Array(name)
        if let index = self.exact[bytes] { return index }
        guard !self.wildcards.isEmpty, let dot = bytes.firstIndex(of: 0x2E), dot > 0 else { return nil }
        return self.wildcards[Array(bytes[(dot + 1)...])]
    }

    // MARK: making

    private static func makeContext(
        _ spec: ListenerTLS, _ group: CertificateGroup, listenerName: String,
        listener: UnsafeMutablePointer<copenssl_listener>, library: OpaquePointer
    ) throws(TLSRefused) -> OpaquePointer {
        // A session is resumed only where the listener, the key and the demands on clients are the same.
        var identity = Array(listenerName.utf8) + [0] + group.publicKeys
        if let clients = spec.clientCertificates {
            identity += [1, clients.isRequired ? 1 : 0, UInt8(truncatingIfNeeded: clients.depth)]
            identity += clients.authorities.bytes + [0] + (clients.revoked?.bytes ?? [])
        }
        var session = [UInt8](repeating: 0, count: 32)
        var text = [CChar](repeating: 0, count: 512)
        guard copenssl_digest(identity, identity.count, &session) else { throw TLSRefused("has no digest") }
        var made: OpaquePointer?
        spec.groups.withCString { groups in
            spec.cipherSuites.withCString { suites in
                spec.ciphers.withCString { ciphers in
                    session.withUnsafeBufferPointer { session in
                        CertificateFacts.withText(spec.clientCertificates?.authorities.bytes ?? []) { ca, caCount in
                            CertificateFacts.withText(spec.clientCertificates?.revoked?.bytes ?? []) { crl, crlCount in
                                var options = copenssl_server_options()
                                options.minimum_version = spec.minimumVersion == .v13 ? 0x0304 : 0x0303
                                options.groups = groups
                                options.cipher_suites = suites
                                options.ciphers = ciphers
                                options.session_context = session.baseAddress
                                options.client_certificates =
                                    spec.clientCertificates.map { $0.isRequired ? 2 : 1 } ?? 0
                                options.depth = Int32(clamping: spec.clientCertificates?.depth ?? 0)
                                options.client_authorities = ca
                                options.client_authorities_count = caCount
                                if crlCount > 0 {
                                    options.revoked = crl
                                    options.revoked_count = crlCount
                                }
                                made = copenssl_server_new(library, listener, &options, &text, text.count)
                            }
                        }
                    }
                }
            }
        }
        guard let made else { throw TLSRefused(TLSText.string(text)) }
        for certificate in group.certificates {
            let isGood = CertificateFacts.withText(certificate.chain.bytes) { chain, chainCount in
                CertificateFacts.withText(certificate.key.bytes) { key, keyCount in
                    let staple = certificate.ocsp?.bytes ?? []
                    return copenssl_use(
                        made, library, chain, chainCount, key, keyCount, staple, staple.count, &text, text.count)
                }
            }
            guard isGood else {
                copenssl_context_free(made)
                throw TLSRefused("\(certificate.chain.path), \(certificate.key.path): \(TLSText.string(text))")
            }
        }
        return made
    }
}
