import JSONText
import RoutesFile
import Traffic

/// A JSON document of unknown shape, so that what is wrong in it can be told by path instead of failing as a whole.
enum JSONInput: Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONInput])
    case object([String: JSONInput])

    init(_ value: JSONValue) {
        switch value.content {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .number(let digits):
            let number = Double(digits) ?? .infinity
            // 1.0 and 1e2 are whole numbers too.
            self = (Int64(digits) ?? Int64(exactly: number)).map { .integer($0) } ?? .number(number)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .array(elements.map(JSONInput.init))
        case .object(let members):
            self = .object(
                Dictionary(
                    members.map { ($0.name, JSONInput($0.value)) }, uniquingKeysWith: { first, _ in first }))
        }
    }

    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONInput {
    /// `{"weights": {NAME: 0…1000000, …}, "reason": TEXT, "force": BOOL, "save": BOOL, "local": BOOL}`, or every problem in it; all but
    /// the first may be left out. Whether the names exist is for the table to say.
    func weightChange() throws(ChangeRefused) -> (
        weights: [String: UInt32], reason: String, force: Bool, save: Bool, local: Bool
    ) {
        guard case .object(let members) = self else {
            throw .invalid([ControlProblem(path: "$", message: "expected an object, found \(self.kind)")])
        }
        var problems = Self.unknown(members, known: ["weights", "reason", "force", "save", "local"])
        var weights: [String: UInt32] = [:]
        switch members["weights"] {
        case .object(let entries)?:
            for (name, value) in entries.sorted(by: { $0.key < $1.key }) where problems.count <= ControlProblem.limit {
                if case .integer(let number) = value, let weight = UInt32(exactly: number),
                    weight <= WeightChange.largestWeight
                {
                    weights[name] = weight
                } else {
                    problems.append(
                        ControlProblem(
                            path: "$.weights.\(name)",
                            message: "expected a whole number from 0 to \(WeightChange.largestWeight)"))
                }
            }
        case let other?:
            problems.append(ControlProblem(path: "$.weights", message: "expected an object, found \(other.kind)"))
        case nil:
            problems.append(ControlProblem(path: "$.weights", message: "is missing"))
        }
        let reason = Self.text(members["reason"], path: "$.reason", &problems)
        let force = Self.flag(members["force"], path: "$.force", &problems)
        let save = Self.flag(members["save"], path: "$.save", &problems)
        let local = Self.flag(members["local"], path: "$.local", &problems)
        guard problems.isEmpty else { throw .invalid(problems) }
        return (weights, reason ?? "", force, save, local)
    }

    /// `{"sequence": N | "toGeneration": G, "reason": TEXT, "force": BOOL, "partial": BOOL}`.
    func undoRequest() throws(ChangeRefused) -> UndoRequest {
        guard case .object(let members) = self else {
            throw .invalid([ControlProblem(path: "$", message: "expected an object, found \(self.kind)")])
        }
        var problems = Self.unknown(members, known: ["sequence", "toGeneration", "reason", "force", "partial"])
        let sequence = Self.count(members["sequence"], path: "$.sequence", &problems)
        let generation = Self.count(members["toGeneration"], path: "$.toGeneration", &problems)
        var target: UndoRequest.Target?
        switch (members["sequence"], members["toGeneration"]) {
        case (_?, nil): target = sequence.map { .change($0) }
        case (nil, _?): target = generation.map { .generation($0) }
        default:
            let message = "expected either \"sequence\" or \"toGeneration\""
            problems.append(ControlProblem(path: "$", message: message))
        }
        let reason = Self.text(members["reason"], path: "$.reason", &problems) ?? ""
        if reason.isEmpty {
            problems.append(ControlProblem(path: "$.reason", message: "is missing: an undo needs one"))
        }
        let force = Self.flag(members["force"], path: "$.force", &problems)
        let partial = Self.flag(members["partial"], path: "$.partial", &problems)
        guard let target, problems.isEmpty else { throw .invalid(problems) }
        var request = UndoRequest(target, reason: reason)
        request.force = force
        request.partial = partial
        return request
    }

    static func count(_ value: JSONInput?, path: String, _ problems: inout [ControlProblem]) -> UInt64? {
        switch value {
        case nil: return nil
        case .integer(let number)? where number >= 0: return UInt64(number)
        case let other?:
            problems.append(
                ControlProblem(path: path, message: "expected a whole number, 0 or more, found \(other.kind)"))
            return nil
        }
    }

    static func flag(_ value: JSONInput?, path: String, _ problems: inout [ControlProblem]) -> Bool {
        switch value {
        case nil: return false
        case .bool(let value)?: return value
        case let other?:
            problems.append(ControlProblem(path: path, message: "expected true or false, found \(other.kind)"))
            return false
        }
    }

    /// `{"administrative": "ready" | "drain" | "maintenance", "upstream": NAME, "reason": TEXT, "force": BOOL}`; the last
    /// three may be left out.
    func administrativeChange() throws(ChangeRefused) -> (
        state: Administrative, upstream: String?, reason: String, force: Bool
    ) {
        guard case .object(let members) = self else {
            throw .invalid([ControlProblem(path: "$", message: "expected an object, found \(self.kind)")])
        }
        var problems = Self.unknown(members, known: ["administrative", "upstream", "reason", "force"])
        var state: Administrative?
        if case .string(let word)? = members["administrative"] { state = Administrative(word: word) }
        if state == nil {
            problems.append(
                ControlProblem(path: "$.administrative", message: "expected \"ready\", \"drain\" or \"maintenance\""))
        }
        let upstream = Self.text(members["upstream"], path: "$.upstream", &problems)
        let reason = Self.text(members["reason"], path: "$.reason", &problems)
        let force = Self.flag(members["force"], path: "$.force", &problems)
        guard let state, problems.isEmpty else { throw .invalid(problems) }
        return (state, upstream, reason ?? "", force)
    }

    /// `{"reason": TEXT}`, which must say something.
    func neededReason() throws(ChangeRefused) -> String {
        guard case .object(let members) = self else {
            throw .invalid([ControlProblem(path: "$", message: "expected an object, found \(self.kind)")])
        }
        var problems = Self.unknown(members, known: ["reason"])
        let reason = Self.text(members["reason"], path: "$.reason", &problems) ?? ""
        if reason.isEmpty, problems.isEmpty {
            problems.append(ControlProblem(path: "$.reason", message: "must say why"))
        }
        guard problems.isEmpty else { throw .invalid(problems) }
        return reason
    }

    static func text(_ value: JSONInput?, path: String, _ problems: inout [ControlProblem]) -> String? {
        switch value {
        case nil: return nil
        case .string(let text)?: return text
        case let other?:
            problems.append(ControlProblem(path: path, message: "expected a string, found \(other.kind)"))
            return nil
        }
    }

    static func unknown(_ members: [String: JSONInput], known: [String]) -> [ControlProblem] {
        members.keys.filter { !known.contains($0) }.sorted().prefix(ControlProblem.limit + 1).map {
            ControlProblem(path: "$.\($0)", message: "unknown key; known are \(known.joined(separator: ", "))")
        }
    }
}
