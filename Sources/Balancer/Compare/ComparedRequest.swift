import Glibc
import JSONText

/// A request that both sides are asked.
struct ComparedRequest: Sendable, Equatable {
    var method: String
    /// A path with or without a query.
    var target: String
}

/// What a file of `balancer compare` says: a path a line, `METHOD PATH`, or lines of our access log.
struct RequestList: Sendable {
    struct Malformed: Error {
        /// From 1.
        var line: Int
        var message: String
    }

    static let limit = 1_000_000
    /// The access log cuts targets here: what is left of a longer one is another request.
    private static let loggedTargetLimit = 2_048

    private(set) var requests: [ComparedRequest] = []
    /// Lines of an access log with methods that are not asked.
    private(set) var unsafeLines = 0
    /// Lines of an access log that hold no whole request.
    private(set) var brokenLines = 0
    private let takesUnsafe: Bool

    init(takesUnsafe: Bool) { self.takesUnsafe = takesUnsafe }

    mutating func add(_ line: Substring, number: Int) throws(Malformed) {
        let line = line.trimmed
        if line.isEmpty || line.first == "#" { return }
        if line.first == "{" { return try self.addLogged(line, number: number) }
        let words = line.split(separator: " ", omittingEmptySubsequences: true)
        let (method, target) = words.count == 2 ? (String(words[0]), String(words[1])) : ("GET", String(line))
        guard Self.isTarget(target) else {
            throw Malformed(
                line: number, message: "expected a path such as /x?y, or METHOD PATH, found \(target.quoted)")
        }
        guard Self.isMethod(method) else {
            throw Malformed(line: number, message: "\(method.quoted) is not a method")
        }
        guard self.takesUnsafe || Self.isSafe(method) else {
            throw Malformed(
                line: number, message: "\(method) may change something: only --unsafe asks it of both sides")
        }
        try self.append(ComparedRequest(method: method, target: target), number)
    }

    private mutating func addLogged(_ line: Substring, number: Int) throws(Malformed) {
        guard let value = try? JSONReader.read(Array(line.utf8), nodes: 1_000),
            case .string(let method)? = value["method"]?.content,
            case .string(let target)? = value["target"]?.content, Self.isTarget(target), Self.isMethod(method),
            target.utf8.count < Self.loggedTargetLimit
        else {
            self.brokenLines += 1
            return
        }
        guard self.takesUnsafe || Self.isSafe(method) else {
            self.unsafeLines += 1
            return
        }
        try self.append(ComparedRequest(method: method, target: target), number)
    }

    private mutating func append(_ request: ComparedRequest, _ number: Int) throws(Malformed) {
        guard self.requests.count < Self.limit else {
            throw Malformed(line: number, message: "more than \(Self.limit) requests")
        }
        self.requests.append(request)
    }

    /// RFC 9110 §9.2.1, of those that are asked of servers.
    static func isSafe(_ method: String) -> Bool { method == "GET" || method == "HEAD" }

    private static func isMethod(_ method: String) -> Bool {
        !method.isEmpty && method.utf8.allSatisfy { (0x41...0x5A).contains($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isTarget(_ target: String) -> Bool {
        target.utf8.first == UInt8(ascii: "/")
            && target.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }
    }

    // MARK: the file

    enum Unreadable: Error {
        case file(String)
        case line(Malformed)
    }

    /// Reads the file whole, in pieces: an access log may be long. `-` is standard input.
    static func read(_ path: String, takesUnsafe: Bool) throws(Unreadable) -> RequestList {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(String(cString: strerror(errno))) }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var list = RequestList(takesUnsafe: takesUnsafe)
        var number = 0
        var rest: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .file(String(cString: strerror(errno))) }
            var bytes = chunk[..<count]
            while let end = bytes.firstIndex(of: 0x0A) {
                number += 1
                try self.add(rest + bytes[..<end], number, to: &list)
                rest = []
                bytes = bytes[(end + 1)...]
            }
            rest += bytes
            guard rest.count <= JSONReader.sizeLimit else {
                throw .line(Malformed(line: number + 1, message: "a line of more than \(JSONReader.sizeLimit) bytes"))
            }
            if count == 0 { break }
        }
        if !rest.isEmpty { try self.add(rest, number + 1, to: &list) }
        return list
    }

    private static func add(_ bytes: [UInt8], _ number: Int, to list: inout RequestList) throws(Unreadable) {
        do {
            try list.add(String(decoding: bytes, as: UTF8.self)[...], number: number)
        } catch {
            throw .line(error)
        }
    }
}

extension Substring {
    /// Without spaces, tabs and carriage returns at either end.
    fileprivate var trimmed: Substring {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
        var text = self.drop(while: isSpace)
        while let last = text.last, isSpace(last) { text.removeLast() }
        return text
    }
}
