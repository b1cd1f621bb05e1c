import FoundationEssentials
import Glibc
import Reactor

/// What a running balancer gives to its successor.
package struct HandOver: Sendable {
    package struct Listener: Sendable {
        package var name: String
        /// A listening socket; owned by whoever holds this value last.
        package var descriptor: Int32

        package init(name: String, descriptor: Int32) {
            self.name = name
            self.descriptor = descriptor
        }
    }

    package var state: LiveState
    package var listeners: [Listener]
    /// Keys of session tickets, the newest first: clients resume their sessions with the successor. They go over the socket and
    /// nowhere else.
    package var ticketKeys: [[UInt8]]
    /// Names of the listeners that speak TLS: what waits at one that the successor does not know is not served plainly.
    package var secureListeners: [String]

    package init(
        state: LiveState, listeners: [Listener], ticketKeys: [[UInt8]] = [], secureListeners: [String] = []
    ) {
        self.state = state
        self.listeners = listeners
        self.ticketKeys = ticketKeys
        self.secureListeners = secureListeners
    }

    /// What is said as JSON: the state with the keys beside it. A process that knows no keys reads the rest.
    private struct Document: Codable {
        var state: LiveState
        var ticketKeys: [Data]
        var secureListeners: [String]

        private enum Key: String, CodingKey { case ticketKeys, secureListeners }

        init(_ handOver: HandOver) {
            self.state = handOver.state
            self.ticketKeys = handOver.ticketKeys.map { Data($0) }
            self.secureListeners = handOver.secureListeners
        }

        init(from decoder: any Decoder) throws {
            self.state = try LiveState(from: decoder)
            let container = try decoder.container(keyedBy: Key.self)
            self.ticketKeys = try container.decodeIfPresent([Data].self, forKey: .ticketKeys) ?? []
            self.secureListeners = try container.decodeIfPresent([String].self, forKey: .secureListeners) ?? []
        }

        func encode(to encoder: any Encoder) throws {
            try self.state.encode(to: encoder)
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(self.ticketKeys, forKey: .ticketKeys)
            try container.encode(self.secureListeners, forKey: .secureListeners)
        }
    }
}

/// ```
/// successor                       predecessor
///    │ ask ───────────────────────▶ │ takes no more changes
///    │ ◀─── state… listeners… end   │ (goes on serving)
///    │ binds nothing, serves on the │
///    │ same sockets                 │
///    │ ready ──────────────────────▶ │ gives up its admin address
///    │ ◀────────────────────── done │ drains, exits
/// ```
/// A predecessor that drains already answers `done` at once. If either side goes away before `ready`, the predecessor goes on as if nothing had happened.
enum HandOverPacket: UInt8 {
    case ask = 0x41  // A
    /// Followed by a piece of the JSON of `LiveState`.
    case state = 0x53  // S
    /// Followed by the names of the attached sockets, one a line.
    case listeners = 0x4C  // L
    case end = 0x45  // E
    case ready = 0x52  // R
    case done = 0x44  // D
}

/// A hand-over that did not come to its end.
package enum HandOverFailure: Error, Sendable, CustomStringConvertible {
    case system(SystemError)
    /// The other side left, or said something out of turn.
    case brokenOff
    case badState
    /// The other process serves no more (it drains): there is nothing to take over.
    case nothingToGive

    package var description: String {
        switch self {
        case .system(let error): "\(error)"
        case .brokenOff: "the other process broke the hand-over off"
        case .badState: "the other process's state is not understood"
        case .nothingToGive: "the other process has nothing to hand over"
        }
    }
}

extension HandOver {
    /// Sends all of it, blocking.
    func send(over socket: HandOverSocket) throws(HandOverFailure) {
        do {
            let json = Array(try JSONEncoder().encode(Document(self)))
            let piece = HandOverSocket.packetSize - 1
            for start in stride(from: 0, to: json.count, by: piece) {
                let bytes = json[start..<min(start + piece, json.count)]
                try socket.send([HandOverPacket.state.rawValue] + bytes)
            }
            let batch = HandOverSocket.descriptorsPerPacket
            for start in stride(from: 0, to: self.listeners.count, by: batch) {
                let some = self.listeners[start..<min(start + batch, self.listeners.count)]
                let names = some.map(\.name).joined(separator: "\n")
                try socket.send([HandOverPacket.listeners.rawValue] + names.utf8, descriptors: some.map(\.descriptor))
            }
            try socket.send([HandOverPacket.end.rawValue])
        } catch let error as SystemError {
            throw .system(error)
        } catch {
            throw .badState
        }
    }

    /// Receives all of it, blocking. Sockets that came with an unfinished hand-over are closed.
    static func receive(from socket: HandOverSocket) throws(HandOverFailure) -> HandOver {
        var json: [UInt8] = []
        var listeners: [Listener] = []
        do throws(HandOverFailure) {
            while true {
                let (packet, descriptors) = try Self.packet(from: socket)
                switch packet.first.flatMap(HandOverPacket.init) {
                case .state: json += packet.dropFirst()
                case .listeners:
                    let names = String(decoding: packet.dropFirst(), as: UTF8.self).split(separator: "\n")
                    guard names.count == descriptors.count else {
                        for descriptor in descriptors { close(descriptor) }
                        throw .brokenOff
                    }
                    for (name, descriptor) in zip(names, descriptors) {
                        listeners.append(Listener(name: String(name), descriptor: descriptor))
                    }
                case .end:
                    guard let document = try? JSONDecoder().decode(Document.self, from: Data(json)) else {
                        throw .badState
                    }
                    return HandOver(
                        state: document.state, listeners: listeners, ticketKeys: document.ticketKeys.map { Array($0) },
                        secureListeners: document.secureListeners)
                case .done: throw .nothingToGive
                case .ask, .ready, nil: throw .brokenOff
                }
            }
        } catch {
            for listener in listeners { close(listener.descriptor) }
            throw error
        }
    }

    static func packet(from socket: HandOverSocket) throws(HandOverFailure) -> (packet: [UInt8], descriptors: [Int32]) {
        do {
            return try socket.receive()
        } catch {
            throw .system(error)
        }
    }

    static func expect(_ expected: HandOverPacket, from socket: HandOverSocket) throws(HandOverFailure) {
        let (packet, descriptors) = try Self.packet(from: socket)
        for descriptor in descriptors { close(descriptor) }
        guard packet.first == expected.rawValue else { throw .brokenOff }
    }

    static func say(_ packet: HandOverPacket, to socket: HandOverSocket) throws(HandOverFailure) {
        do {
            try socket.send([packet.rawValue])
        } catch {
            throw .system(error)
        }
    }
}
