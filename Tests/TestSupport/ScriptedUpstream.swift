import Glibc
import Synchronization

/// A TCP server whose every connection a test scripts. One thread a connection; each script runs to its end or to the end
/// of its connection.
package final class ScriptedUpstream: Sendable {
    package let port: UInt16
    private let listener: Int32
    private let stopped = Atomic(false)
    private let state = Mutex(State())
    private let script: @Sendable (RawConnection, ScriptedUpstream) throws -> Void

    private struct State {
        var connections = 0
        var requests: [Message] = []
        var open: [RawConnection] = []
    }

    package init(_ script: @escaping @Sendable (RawConnection, ScriptedUpstream) throws -> Void) throws {
        self.listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = RawConnection.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = self.listener
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 1_024) == 0
                    && getsockname(listener, $0, &length) == 0
            }
        }
        guard bound else { throw TestFailure("cannot listen: errno \(errno)") }
        self.port = UInt16(bigEndian: address.sin_port)
        self.script = script
        startThread { [weak self] in
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0, let upstream = self else {
                    if descriptor >= 0 { close(descriptor) }
                    // Here and only here: a number closed by somebody else could already be another's.
                    close(listener)
                    return
                }
                var one: Int32 = 1
                setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
                upstream.serve(RawConnection(adopting: descriptor))
            }
        }
    }

    deinit { self.stop() }

    private func serve(_ connection: RawConnection) {
        self.state.withLock { state in
            state.connections += 1
            state.open.append(connection)
        }
        startThread { [self] in
            try? self.script(connection, self)
            connection.hangUp()
            self.state.withLock { state in state.open.removeAll { $0 === connection } }
        }
    }

    /// Stops listening and hangs up on everybody.
    package func stop() {
        guard self.stopped.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
        else { return }
        // Wakes the accepting thread with an error, and refuses whoever comes.
        shutdown(self.listener, Int32(SHUT_RDWR))
        for connection in self.state.withLock({ $0.open }) { connection.hangUp() }
    }

    package func record(_ message: Message) { self.state.withLock { $0.requests.append(message) } }
    package var requests: [Message] { self.state.withLock { $0.requests } }
    package var connections: Int { self.state.withLock { $0.connections } }

    /// Answers every request on a connection with what `respond` gives; nil ends the connection.
    package static func answering(
        _ respond: @escaping @Sendable (Message, Int) -> String?
    ) throws -> ScriptedUpstream {
        try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            var number = 0
            while true {
                let request = try reader.message(seconds: 60)
                upstream.record(request)
                guard let response = respond(request, number) else { return }
                connection.send(response)
                number += 1
            }
        }
    }

    /// Answers 200 with `body`, and nothing else.
    package static func plain(_ body: String) throws -> ScriptedUpstream {
        try Self.answering { _, _ in "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)" }
    }
}

/// Runs `body` on a thread of its own.
package func startThread(_ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let argument = Unmanaged.passRetained(Box(body)).toOpaque()
    pthread_create(
        &thread, nil,
        { argument in
            if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
            return nil
        }, argument)
    pthread_detach(thread)
}
