/// A message read from a raw connection by a reader of the tests' own, which shares nothing with the code under test.
package struct Message: Sendable {
    package var start: String
    package var fields: [(name: String, value: String)]
    package var body: [UInt8]
    package var trailers: [String] = []

    package func field(_ name: String) -> String? {
        self.fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    package var status: Int { Int(self.start.split(separator: " ").dropFirst().first ?? "") ?? 0 }
    package var text: String { String(decoding: self.body, as: UTF8.self) }
    package var closes: Bool { self.field("connection")?.lowercased() == "close" }
}

/// Reads messages one after another from a connection.
package struct MessageReader {
    package let connection: RawConnection
    private var held: [UInt8] = []

    package init(_ connection: RawConnection) {
        self.connection = connection
    }

    /// Bytes read but not used.
    package var surplus: [UInt8] { self.held }

    private mutating func more(_ deadline: Deadline) throws {
        switch self.connection.receive(by: deadline) {
        case .data(let bytes): self.held += bytes
        case let end:
            throw TestFailure(
                "\(end) with \(self.held.count) bytes held: \(String(decoding: self.held.prefix(300), as: UTF8.self))")
        }
    }

    private mutating func line(_ deadline: Deadline) throws -> String {
        var searched = 0
        while true {
            if let at = self.held[searched...].firstIndex(of: 10) {
                guard at > 0, self.held[at - 1] == 13 else { throw TestFailure("bare LF") }
                let line = String(decoding: self.held[..<(at - 1)], as: UTF8.self)
                self.held.removeFirst(at + 1)
                return line
            }
            searched = self.held.count
            try self.more(deadline)
        }
    }

    private mutating func take(_ count: Int, _ deadline: Deadline) throws -> [UInt8] {
        while self.held.count < count { try self.more(deadline) }
        let bytes = Array(self.held[..<count])
        self.held.removeFirst(count)
        return bytes
    }

    /// A head with no body read.
    package mutating func head(seconds: Double = 30) throws -> Message {
        let deadline = Deadline(seconds: seconds)
        var message = Message(start: try self.line(deadline), fields: [], body: [])
        while true {
            let line = try self.line(deadline)
            if line.isEmpty { return message }
            guard let colon = line.firstIndex(of: ":") else { throw TestFailure("no colon: \(line)") }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            message.fields.append((String(line[..<colon]), String(value)))
        }
    }

    /// A whole message. `toHEAD`: a response to HEAD, which has no body whatever it says.
    package mutating func message(toHEAD: Bool = false, seconds: Double = 30) throws -> Message {
        var message = try self.head(seconds: seconds)
        if !toHEAD { try self.body(of: &message, seconds: seconds) }
        return message
    }

    /// Reads the body that belongs to a head.
    package mutating func body(of message: inout Message, seconds: Double = 30) throws {
        let deadline = Deadline(seconds: seconds)
        let isResponse = message.start.hasPrefix("HTTP/")
        let status = message.status
        if isResponse, status < 200 || status == 204 || status == 304 { return }
        if message.field("transfer-encoding") != nil {
            while true {
                let size = try self.line(deadline).split(separator: ";").first.flatMap { Int($0, radix: 16) }
                guard let size else { throw TestFailure("bad chunk size") }
                if size == 0 { break }
                message.body += try self.take(size, deadline)
                guard try self.line(deadline).isEmpty else { throw TestFailure("chunk without its line end") }
            }
            while true {
                let line = try self.line(deadline)
                if line.isEmpty { return }
                message.trailers.append(line)
            }
        }
        if let length = message.field("content-length").flatMap({ Int($0) }) {
            message.body = try self.take(length, deadline)
        } else if isResponse {
            while true {
                switch self.connection.receive(by: deadline) {
                case .data(let bytes): self.held += bytes
                case .closed:
                    message.body = self.held
                    self.held = []
                    return
                case let end: throw TestFailure("\(end) in a body that the close should end")
                }
            }
        }
    }
}
