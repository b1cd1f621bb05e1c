import TestSupport

/// Carries a test's plain bytes by TLS, so that it can drive what lies within byte by byte: each connection to `port` becomes one
/// to the balancer, with an end on either side passed on.
final class TLSRelay {
    let port: UInt16
    private let program: Program

    /// `protocols`: offered by ALPN; none: no offer. `certificate`: shown where the balancer asks for one.
    init(
        to port: UInt16, trusting authority: String, name: String = "localhost", protocols: [String] = ["h2"],
        certificate: (certificate: String, key: String)? = nil
    ) throws {
        let program = try Program(
            path: "/usr/bin/env",
            [
                "python3", "-c", Self.script, "\(port)", authority, name, protocols.joined(separator: ","),
                certificate?.certificate ?? "", certificate?.key ?? "",
            ])
        self.program = program
        self.port = try program.await { line in
            line.hasPrefix("port ") ? UInt16(line.dropFirst("port ".count)) : nil
        }
    }

    /// Has what was agreed on, once a connection is made.
    func agreed() throws -> String {
        try self.program.await { $0.hasPrefix("agreed ") ? String($0.dropFirst("agreed ".count)) : nil }
    }

    func connect() throws -> RawConnection { try RawConnection(port: self.port) }

    private static let script = #"""
        import asyncio, ssl, sys
        port, authority, name, protocols, certificate, key = sys.argv[1:7]
        context = ssl.create_default_context(cafile=authority)
        if protocols: context.set_alpn_protocols(protocols.split(","))
        if certificate: context.load_cert_chain(certificate, key)

        async def pump(reader, writer):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
                # An end is passed on as an end. Closing would make a reset of it where the other side still sends.
                if writer.can_write_eof():
                    writer.write_eof()
                else:
                    writer.close()
            except (OSError, ssl.SSLError):
                writer.transport.abort()

        async def serve(reader, writer):
            try:
                far, near = await asyncio.open_connection("127.0.0.1", int(port), ssl=context, server_hostname=name)
            except (OSError, ssl.SSLError) as error:
                print("refused", error, flush=True)
                writer.close()
                return
            print("agreed", near.get_extra_info("ssl_object").selected_alpn_protocol(), flush=True)
            await asyncio.gather(pump(reader, near), pump(far, writer))
            writer.close()

        async def main():
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            print("port", server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()

        asyncio.run(main())
        """#
}
