import Glibc
import TestSupport

/// Speaks TLS in front of plain upstreams: what is agreed on by ALPN decides which of the two gets the bytes.
final class TLSTerminator {
    let port: UInt16
    private let program: Program

    /// `protocols`: what it agrees on, the dearest first. `port`: of one that has stopped; 0: any.
    init(
        http1: UInt16, http2: UInt16, protocols: [String], _ made: (certificate: String, key: String), port: UInt16 = 0
    ) throws {
        let program = try Program(
            path: "/usr/bin/env",
            [
                "python3", "-c", Self.script, "\(http1)", "\(http2)", protocols.joined(separator: ","),
                made.certificate, made.key, "\(port)",
            ])
        self.program = program
        self.port = try program.await { line in
            line.hasPrefix("port ") ? UInt16(line.dropFirst("port ".count)) : nil
        }
    }

    func stop() {
        self.program.signal(SIGKILL)
        _ = self.program.awaitExit()
    }

    /// What each connection has agreed on.
    var agreed: [String] {
        self.program.output.filter { $0.hasPrefix("agreed ") }.map { String($0.dropFirst("agreed ".count)) }
    }

    private static let script = #"""
        import asyncio, ssl, sys
        http1, http2, protocols, certificate, key, port = sys.argv[1:7]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if protocols: context.set_alpn_protocols(protocols.split(","))

        async def pump(reader, writer):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except (OSError, ssl.SSLError):
                pass
            writer.close()

        async def serve(reader, writer):
            agreed = writer.get_extra_info("ssl_object").selected_alpn_protocol()
            print("agreed", agreed, flush=True)
            far, near = await asyncio.open_connection("127.0.0.1", int(http2 if agreed == "h2" else http1))
            await asyncio.gather(pump(reader, near), pump(far, writer))

        async def main():
            server = await asyncio.start_server(serve, "127.0.0.1", int(port), ssl=context)
            print("port", server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()

        asyncio.run(main())
        """#
}
