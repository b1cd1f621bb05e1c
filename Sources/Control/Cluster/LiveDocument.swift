import JSONText
import Traffic

/// What all replicas of one service share: what operators changed over their files, how far plans have come, and the changes
/// that led there last. One JSON text in the store, replaced as a whole by whoever saw it last.
///
/// Members that this version does not know, at any place, are kept when it is rewritten.
package struct LiveDocument: Sendable, Equatable {
    /// What this version writes, and reads without loss.
    package static let format: UInt64 = 1
    /// Bytes of the text.
    package static let sizeLimit = 512 << 10
    /// Changes that it tells of, and the bytes of their texts together. Older ones are in the store's journal. What one write
    /// brings stays whole until the next, as far as there is room: others read it here before the journal has it.
    static let recentLimit = 64
    static let recentBytes = 64 << 10
    /// So many splits and endpoints leave room for those.
    private static let fewEntries = 1_000

    /// A route's weights over those of the files that say `fileWeights`.
    package struct Split: Sendable, Equatable {
        package var weights: [String: UInt32]
        package var fileWeights: [String: UInt32]
        var others: [JSONMember] = []

        package init(weights: [String: UInt32], fileWeights: [String: UInt32]) {
            self.weights = weights
            self.fileWeights = fileWeights
        }
    }

    package struct EndpointState: Sendable, Equatable {
        package var administrative: Administrative
        var others: [JSONMember] = []
    }

    package var format = LiveDocument.format
    /// A version that knows only a smaller format must not read this.
    package var minimum: UInt64 = 1
    /// Number of the last leadership.
    package var term: UInt64 = 0
    /// Of the last change: grows with every write.
    package var sequence: UInt64 = 0
    /// Identifier of the last change.
    package var change = ""
    package var routes: [String: Split] = [:]
    package var endpoints: [EndpointKey: EndpointState] = [:]
    /// Where plans stand (`PlanRecord`), by name.
    package var migrations: [String: JSONValue] = [:]
    /// What operators have said of classes of differences, by plan and number: why one may stay; empty: it may not any more.
    package var differences: [String: [String: String]] = [:]
    /// The last changes, oldest first, each with its `sequence`.
    private(set) var recent: [JSONValue] = []
    private var others: [JSONMember] = []

    package init() {}
}

/// What a change makes of the shared state.
package struct SharedEdit: Sendable, Equatable {
    /// nil: as the file says.
    package var routes: [String: LiveDocument.Split?] = [:]
    /// `ready` takes the entry away.
    package var endpoints: [EndpointKey: Administrative] = [:]
    /// nil: no such plan any more.
    package var migrations: [String: JSONValue?] = [:]
    /// What is said of classes of differences, by plan and number; nil: no such plan any more.
    package var differences: [String: [String: String]?] = [:]

    package init() {}

    package var isEmpty: Bool {
        self.routes.isEmpty && self.endpoints.isEmpty && self.migrations.isEmpty && self.differences.isEmpty
    }
}

/// Why a document is not taken on.
package struct DocumentFailure: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Cause: Sendable, Equatable {
        case damaged
        /// A newer version made it, and says that this one must not read it.
        case tooNew
        case tooLarge
    }

    package var cause: Cause
    package var reason: String
    package var description: String { self.reason }
}

extension LiveDocument {
    /// Changes with the numbers that they get in the document that they make of this one.
    package func numbered(_ changes: [SharedChange]) -> [SharedChange] {
        zip(1..., changes).map { number, change in
            var change = change
            change.sequence = self.sequence + UInt64(number)
            return change
        }
    }

    /// The document that a change makes of this one. There is at least one in `changes`.
    package func edited(by edit: SharedEdit, changes: [SharedChange], term: UInt64? = nil) -> LiveDocument {
        var next = self
        for (route, split) in edit.routes {
            guard var split else {
                next.routes[route] = nil
                continue
            }
            split.others = self.routes[route]?.others ?? []
            next.routes[route] = split
        }
        for (key, state) in edit.endpoints {
            next.endpoints[key] =
                state == .ready
                ? nil : EndpointState(administrative: state, others: self.endpoints[key]?.others ?? [])
        }
        for (name, plan) in edit.migrations {
            next.migrations[name] = plan.map { PlanRecord.merged($0, over: self.migrations[name]) }
        }
        for (name, said) in edit.differences {
            next.differences[name] = said.map { (self.differences[name] ?? [:]).merging($0) { _, new in new } }
        }
        if let term { next.term = term }
        for change in self.numbered(changes) {
            next.sequence = change.sequence
            next.change = change.id
            next.recent.append(change.json)
        }
        next.trim(keeping: changes.count)
        return next
    }

    private mutating func trim(keeping own: Int) {
        var bytes = 0
        var kept = 0
        for row in self.recent.reversed() {
            bytes += row.bytes.count
            guard kept < own || (kept < Self.recentLimit && bytes <= Self.recentBytes) else { break }
            kept += 1
        }
        self.recent.removeFirst(self.recent.count - kept)
        let entries = self.routes.count + self.endpoints.count + self.judgements
        guard bytes > Self.recentBytes || entries > Self.fewEntries else { return }
        // The last one stays whatever it weighs: replicas are told by it.
        var excess = self.json.bytes.count - Self.sizeLimit
        while excess > 0, self.recent.count > 1 { excess -= self.recent.removeFirst().bytes.count + 1 }
    }

    /// Of how many classes of differences something is said.
    var judgements: Int { self.differences.values.reduce(0) { $0 + $1.count } }

    /// The same as it is stored: of a control character six bytes are.
    var judgementBytes: Int { self.said.bytes.count }

    private var said: JSONValue {
        .object(
            self.differences.sorted { $0.key < $1.key }.map { name, said in
                (name, JSONValue.object(said.sorted { $0.key < $1.key }.map { ($0.key, .text($0.value)) }))
            })
    }

    /// Those after a number, oldest first, and whether that is all there were. What a newer version wrote and this one cannot
    /// read is left out.
    package func changes(after sequence: UInt64) -> (changes: [SharedChange], areAll: Bool) {
        let first = self.recent.first?["sequence"]?.count ?? self.sequence + 1
        let later = self.recent.filter { $0["sequence"]?.count ?? 0 > sequence }
        return (later.compactMap { SharedChange($0) }, first <= sequence + 1)
    }

    /// Whether this one came of `earlier`, as far as it tells. One that did not is of a store that went back, or was begun anew.
    package func continues(_ earlier: LiveDocument) -> Bool {
        guard self.sequence > earlier.sequence else {
            return self.sequence == earlier.sequence && self.change == earlier.change
        }
        guard let first = self.recent.first?["sequence"]?.count, first <= earlier.sequence else { return true }
        return earlier.change.isEmpty || self.tells(of: earlier.change)
    }

    /// The last change that both tell of; without one, that before the first that this one tells of.
    package func common(with other: LiveDocument) -> UInt64 {
        let theirs = Set(other.recent.compactMap { $0["id"]?.string })
        let last = self.recent.last { $0["id"]?.string.map(theirs.contains) ?? false }
        return last?["sequence"]?.count ?? (self.recent.first?["sequence"]?.count ?? self.sequence + 1) - 1
    }

    /// Whether a change is among those that led here.
    package func tells(of id: String) -> Bool {
        self.change == id || self.recent.contains { $0["id"]?.string == id }
    }

    // MARK: text

    /// The text as it is stored.
    package func text() throws(DocumentFailure) -> [UInt8] {
        let bytes = self.json.bytes
        guard bytes.count <= Self.sizeLimit else {
            throw DocumentFailure(
                cause: .tooLarge, reason: "the live state would have \(bytes.count) bytes, more than \(Self.sizeLimit)")
        }
        return bytes
    }

    private var json: JSONValue {
        func weights(_ weights: [String: UInt32]) -> JSONValue {
            .object(weights.sorted { $0.key < $1.key }.map { ($0.key, .number($0.value)) })
        }
        let routes = self.routes.sorted { $0.key < $1.key }.map { name, split in
            let members = [("weights", weights(split.weights)), ("fileWeights", weights(split.fileWeights))]
            return (name, JSONValue.object(members + split.others.map { ($0.name, $0.value) }))
        }
        let endpoints = self.endpoints.map { ("\($0.key.upstream)/\($0.key.address)", $0.value) }
            .sorted { $0.0 < $1.0 }.map { name, state in
                let members = [("administrative", JSONValue.text(state.administrative.word))]
                return (name, JSONValue.object(members + state.others.map { ($0.name, $0.value) }))
            }
        var members: [(String, JSONValue)] = [
            ("format", .number(self.format)), ("minimum", .number(self.minimum)), ("term", .number(self.term)),
            ("sequence", .number(self.sequence)), ("change", .text(self.change)), ("routes", .object(routes)),
            ("endpoints", .object(endpoints)),
            ("migrations", .object(self.migrations.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })),
            ("recent", JSONValue(.array(self.recent))),
        ]
        if !self.differences.isEmpty { members.append(("differences", self.said)) }
        return .object(members + self.others.map { ($0.name, $0.value) })
    }
}

// MARK: - reading

extension LiveDocument {
    /// Reads a text as strictly as routes.json is read: what is known must be right.
    package init(_ bytes: [UInt8]) throws(DocumentFailure) {
        guard bytes.count <= Self.sizeLimit else {
            throw DocumentFailure(
                cause: .damaged, reason: "it has \(bytes.count) bytes, and may have \(Self.sizeLimit)")
        }
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONReader.read(bytes, nodes: 100_000)
        } catch {
            throw DocumentFailure(
                cause: .damaged, reason: "not JSON, line \(error.line), column \(error.column): \(error.message)")
        }
        var document = LiveDocument()
        var given: Set<String> = []
        // First of all: what follows may be in a form that nobody here knows.
        let minimum = try Self.count(value["minimum"], "$.minimum")
        guard minimum <= Self.format else {
            throw DocumentFailure(
                cause: .tooNew,
                reason: "it needs format \(minimum), and this version knows \(Self.format): update the balancer")
        }
        for member in try Self.members(value, "$") {
            given.insert(member.name)
            switch member.name {
            case "format": document.format = try Self.count(member.value, "$.format")
            case "minimum": document.minimum = minimum
            case "term": document.term = try Self.count(member.value, "$.term")
            case "sequence": document.sequence = try Self.count(member.value, "$.sequence")
            case "change": document.change = try Self.string(member.value, "$.change")
            case "routes":
                for route in try Self.members(member.value, "$.routes") {
                    document.routes[route.name] = try Self.split(route.value, "$.routes.\(route.name)")
                }
            case "endpoints":
                for endpoint in try Self.members(member.value, "$.endpoints") {
                    let (key, state) = try Self.endpoint(endpoint)
                    document.endpoints[key] = state
                }
            case "migrations":
                for plan in try Self.members(member.value, "$.migrations") {
                    _ = try Self.members(plan.value, "$.migrations.\(plan.name)")
                    guard PlanRecord(plan.value)?.name == plan.name else {
                        throw Self.damaged("$.migrations.\(plan.name)", "is not where a plan stands")
                    }
                    document.migrations[plan.name] = plan.value
                }
            case "differences":
                for plan in try Self.members(member.value, "$.differences") {
                    document.differences[plan.name] = try Self.judgements(plan.value, "$.differences.\(plan.name)")
                }
            case "recent": document.recent = try Self.recent(member.value, upTo: value)
            default: document.others.append(member)
            }
        }
        for name in ["format", "term", "sequence", "change", "routes", "endpoints"] where !given.contains(name) {
            throw Self.damaged("$", "the member \"\(name)\" is missing")
        }
        self = document
    }

    private static func damaged(_ path: String, _ message: String) -> DocumentFailure {
        DocumentFailure(cause: .damaged, reason: "\(BoundedText.prefix(of: path, bytes: 200)): \(message)")
    }

    private static func count(_ value: JSONValue?, _ path: String) throws(DocumentFailure) -> UInt64 {
        guard let count = value?.count else { throw self.damaged(path, "expected a whole number") }
        return count
    }

    private static func string(_ value: JSONValue?, _ path: String) throws(DocumentFailure) -> String {
        guard let text = value?.string else { throw self.damaged(path, "expected a string") }
        return text
    }

    /// The members of an object, each once.
    private static func members(_ value: JSONValue?, _ path: String) throws(DocumentFailure) -> [JSONMember] {
        guard case .object(let members)? = value?.content else { throw self.damaged(path, "expected an object") }
        guard Set(members.map(\.name)).count == members.count else {
            throw self.damaged(path, "a member is there twice")
        }
        return members
    }

    private static func split(_ value: JSONValue, _ path: String) throws(DocumentFailure) -> Split {
        var split = Split(
            weights: try self.weights(value["weights"], path + ".weights"),
            fileWeights: try self.weights(value["fileWeights"], path + ".fileWeights"))
        split.others = try self.members(value, path).filter { $0.name != "weights" && $0.name != "fileWeights" }
        return split
    }

    private static func weights(_ value: JSONValue?, _ path: String) throws(DocumentFailure) -> [String: UInt32] {
        var weights: [String: UInt32] = [:]
        for member in try self.members(value, path) {
            guard let weight = member.value.count.flatMap({ UInt32(exactly: $0) }), weight <= WeightChange.largestWeight
            else {
                throw self.damaged(
                    "\(path).\(member.name)", "expected a whole number from 0 to \(WeightChange.largestWeight)")
            }
            weights[member.name] = weight
        }
        guard !weights.isEmpty else { throw self.damaged(path, "names no upstream") }
        return weights
    }

    /// `d-` and eight digits.
    static func isClassNumber(_ text: String) -> Bool {
        text.hasPrefix("d-") && text.utf8.count == 10
            && text.utf8.dropFirst(2).allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private static func judgements(
        _ value: JSONValue, _ path: String
    ) throws(DocumentFailure) -> [String: String] {
        var said: [String: String] = [:]
        for member in try self.members(value, path) {
            guard Self.isClassNumber(member.name) else {
                throw self.damaged("\(path).\(member.name)", "expected the number of a class of differences")
            }
            said[member.name] = try self.string(member.value, "\(path).\(member.name)")
        }
        return said
    }

    private static func endpoint(_ member: JSONMember) throws(DocumentFailure) -> (EndpointKey, EndpointState) {
        let path = "$.endpoints.\(member.name)"
        guard let slash = member.name.firstIndex(of: "/"), slash > member.name.startIndex,
            let address = SocketAddress(parsing: String(member.name[member.name.index(after: slash)...]))
        else { throw self.damaged(path, "expected the name of an upstream, / and an address with a port") }
        let members = try self.members(member.value, path)
        let word = try self.string(member.value["administrative"], path + ".administrative")
        guard let state = Administrative(word: word), state != .ready else {
            throw self.damaged(path + ".administrative", "expected \"drain\" or \"maintenance\"")
        }
        return (
            EndpointKey(upstream: String(member.name[..<slash]), address: address),
            EndpointState(administrative: state, others: members.filter { $0.name != "administrative" })
        )
    }

    private static func recent(_ value: JSONValue, upTo document: JSONValue) throws(DocumentFailure) -> [JSONValue] {
        guard case .array(let rows) = value.content else { throw self.damaged("$.recent", "expected a list") }
        var last: UInt64 = 0
        for (index, row) in rows.enumerated() {
            let sequence = try self.count(row["sequence"], "$.recent[\(index)].sequence")
            guard sequence > last else { throw self.damaged("$.recent[\(index)].sequence", "does not grow") }
            last = sequence
        }
        guard rows.isEmpty || last == document["sequence"]?.count else {
            throw self.damaged("$.recent", "does not end with change \(document["sequence"]?.count ?? 0)")
        }
        return rows
    }
}

extension JSONValue {
    /// A whole number that is not negative, written plainly.
    var count: UInt64? {
        guard case .number(let digits) = self.content else { return nil }
        return UInt64(digits)
    }

    var string: String? {
        guard case .string(let text) = self.content else { return nil }
        return text
    }
}
