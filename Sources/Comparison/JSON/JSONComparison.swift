import JSONText

/// Compares two JSON values by structure.
///
/// The order of members never counts; that of elements does unless the rules say otherwise. Cost is bounded by a number of
/// steps, not by a time: the same two texts give the same answer on every machine.
package struct JSONComparison {
    /// Differences that are told.
    package static let differenceLimit = 64
    /// Values of a text, those inside others counted.
    package static let nodeLimit = 100_000
    /// Values looked at, again and again where elements are sought: about 20 ms.
    package static let stepLimit = 400_000

    /// What was found, before it is put into words.
    struct Found {
        var kind: Difference.Kind
        var steps: [JSONStep]
        var old: JSONValue?
        var new: JSONValue?
    }

    private let rules: ComparisonRules
    private var ignored: PathCursor
    private var unordered: PathCursor
    private var steps: [JSONStep] = []
    private var found: [Found] = []
    private var limit = Self.differenceLimit
    private var work = 0
    private var isCut = false
    /// The first difference ends the search.
    private var isProbing = false
    private static let plainRules = ComparisonRules()

    private init(rules: ComparisonRules) {
        self.rules = rules
        self.ignored = rules.ignoreCursor
        self.unordered = rules.unorderedCursor
    }

    static func compare(old: JSONValue, new: JSONValue, rules: ComparisonRules) -> [Found] {
        var comparison = JSONComparison(rules: rules)
        if comparison.ignored.match == nil { comparison.compare(old, new) }
        if comparison.isCut { comparison.found.append(Found(kind: .tooLarge, steps: [])) }
        return comparison.found
    }

    /// Nothing more can change the result.
    private var isOver: Bool {
        self.found.count >= self.limit && (self.isCut || self.isProbing) || self.work > Self.stepLimit
    }

    private mutating func add(_ kind: Difference.Kind, _ old: JSONValue?, _ new: JSONValue?) {
        guard self.found.count < self.limit else {
            self.isCut = true
            return
        }
        self.found.append(Found(kind: kind, steps: self.steps, old: old, new: new))
    }

    private mutating func spend() {
        self.work += 1 + (self.ignored.width + self.unordered.width) / 16
        if self.work > Self.stepLimit { self.isCut = true }
    }

    private mutating func enter(_ step: JSONStep) {
        self.steps.append(step)
        self.ignored.enter(step)
        self.unordered.enter(step)
    }

    private mutating func leave() {
        self.steps.removeLast()
        self.ignored.leave()
        self.unordered.leave()
    }

    private var isIgnored: Bool { self.ignored.match != nil }

    private mutating func isIgnored(_ step: JSONStep) -> Bool {
        self.ignored.enter(step)
        defer { self.ignored.leave() }
        return self.isIgnored
    }

    // MARK: values

    private mutating func compare(_ old: JSONValue, _ new: JSONValue) {
        self.spend()
        guard !self.isOver else { return }
        switch (old.content, new.content) {
        case (.null, .null): break
        case (.bool(let first), .bool(let second)):
            if first != second { self.add(.value, old, new) }
        case (.string(let first), .string(let second)):
            if ByteText(first) != ByteText(second) { self.add(.value, old, new) }
        case (.number(let first), .number(let second)):
            if !self.areAlike(first, second) { self.add(.value, old, new) }
        case (.array(let first), .array(let second)):
            if let rule = self.unordered.match {
                self.compareUnordered(first, second, key: self.rules.unordered[rule].key)
            } else {
                self.compareOrdered(old, first, new, second)
            }
        case (.object(let first), .object(let second)): self.compareMembers(first, second)
        default: self.add(.type, old, new)
        }
    }

    private func areAlike(_ first: String, _ second: String) -> Bool {
        if first == second { return true }
        guard let first = DecimalNumber(first), let second = DecimalNumber(second) else { return false }
        return self.rules.isExact
            ? first == second
            : first.isWithin(absolute: self.rules.absolute, relative: self.rules.relative, of: second)
    }

    /// Whether two values differ in nothing. What is found meanwhile is forgotten.
    private mutating func isAlike(_ old: JSONValue, _ new: JSONValue) -> Bool {
        let (count, limit, isCut, isProbing) = (self.found.count, self.limit, self.isCut, self.isProbing)
        self.limit = count + 1
        self.isCut = false
        self.isProbing = true
        self.compare(old, new)
        let isAlike = self.found.count == count
        self.found.removeLast(self.found.count - count)
        self.limit = limit
        self.isProbing = isProbing
        self.isCut = isCut || self.work > Self.stepLimit
        return isAlike
    }

    // MARK: objects

    /// Objects of both sides mostly have the same few names in the same order: these need no table.
    private static func areParallel(_ old: [JSONMember], _ new: [JSONMember]) -> Bool {
        guard old.count == new.count, old.count <= 16 else { return false }
        for index in old.indices {
            guard ByteText(old[index].name) == ByteText(new[index].name) else { return false }
            for earlier in 0..<index where old[earlier].name == old[index].name { return false }
        }
        return true
    }

    private mutating func compareMembers(_ old: [JSONMember], _ new: [JSONMember]) {
        if Self.areParallel(old, new) {
            for index in old.indices where !self.isOver {
                self.enter(.name(old[index].name))
                if !self.isIgnored { self.compare(old[index].value, new[index].value) }
                self.leave()
            }
            return
        }
        let first = Members(old)
        let second = Members(new)
        let isRepeating = first.hasRepeated || second.hasRepeated
        for (index, member) in old.enumerated() {
            guard !self.isOver else { return }
            let name = ByteText(member.name)
            guard first.place(name) == index else { continue }
            self.enter(.name(member.name))
            defer { self.leave() }
            if self.isIgnored { continue }
            guard let other = second.place(name) else {
                self.add(.missing, member.value, nil)
                continue
            }
            if isRepeating {
                self.compareRepeated(old, first.places(name), new, second.places(name))
            } else {
                self.compare(member.value, new[other].value)
            }
        }
        for (index, member) in new.enumerated() {
            guard !self.isOver else { return }
            let name = ByteText(member.name)
            guard first.place(name) == nil, second.place(name) == index else { continue }
            self.enter(.name(member.name))
            defer { self.leave() }
            if !self.isIgnored { self.add(.extra, nil, member.value) }
        }
    }

    /// Values of one name, of which either side may have several.
    private mutating func compareRepeated(
        _ old: [JSONMember], _ places: [Int], _ new: [JSONMember], _ others: [Int]
    ) {
        if places.count == 1, others.count == 1 {
            return self.compare(old[places[0]].value, new[others[0]].value)
        }
        var isAlike = places.count == others.count
        for (place, other) in zip(places, others) where isAlike {
            isAlike = self.isAlike(old[place].value, new[other].value)
        }
        guard !isAlike else { return }
        self.add(
            .duplicate, JSONValue(.array(places.map { old[$0].value }), line: 1),
            JSONValue(.array(others.map { new[$0].value }), line: 1))
    }

    // MARK: arrays

    private mutating func compareOrdered(
        _ oldArray: JSONValue, _ old: [JSONValue], _ newArray: JSONValue, _ new: [JSONValue]
    ) {
        let common = min(old.count, new.count)
        for index in common..<max(old.count, new.count) {
            self.spend()
            if self.isOver { return }
            if !self.isIgnored(.index(index)) { return self.add(.length, oldArray, newArray) }
        }
        let (count, wasCut) = (self.found.count, self.isCut)
        var unlike = 0
        for index in 0..<common where !self.isOver {
            let before = self.found.count
            self.enter(.index(index))
            if !self.isIgnored { self.compare(old[index], new[index]) }
            self.leave()
            if self.found.count > before { unlike += 1 }
        }
        // What moved is one difference, not as many as there are elements in other places.
        guard unlike > 1, old.count == new.count, self.work <= Self.stepLimit else { return }
        if self.texts(old).sorted() == self.texts(new).sorted(), self.work <= Self.stepLimit {
            self.found.removeLast(self.found.count - count)
            self.isCut = wasCut
            self.add(.order, oldArray, newArray)
        }
    }

    private mutating func texts(_ elements: [JSONValue]) -> [ByteText] {
        elements.indices.compactMap { self.text(elements[$0], at: $0) }
    }

    /// The canonical text of an element; nil if it is ignored.
    private mutating func text(_ element: JSONValue, at index: Int) -> ByteText? {
        self.enter(.index(index))
        defer { self.leave() }
        if self.isIgnored { return nil }
        var text = ""
        self.writeCanonical(element, into: &text)
        return ByteText(text)
    }

    private mutating func compareUnordered(_ old: [JSONValue], _ new: [JSONValue], key: String?) {
        var (first, second) = (Array(old.indices), Array(new.indices))
        if let key { (first, second) = self.compareByKey(old, new, key: key) }
        // Equal ones are taken away in pairs.
        var places: [ByteText: [Int]] = [:]
        for index in first.reversed() {
            if let text = self.text(old[index], at: index) { places[text, default: []].append(index) }
        }
        var extra: [Int] = []
        for index in second {
            guard let text = self.text(new[index], at: index) else { continue }
            if places[text]?.popLast() == nil { extra.append(index) }
        }
        var missing = places.values.joined().sorted()
        if !self.rules.isExact, !missing.isEmpty, !extra.isEmpty { self.pair(old, &missing, new, &extra) }
        guard !self.isOver else { return }
        if missing.count == 1, extra.count == 1 {
            // One element that changed.
            self.enter(.index(missing[0]))
            self.compare(old[missing[0]], new[extra[0]])
            self.leave()
            return
        }
        for index in missing { self.add(.missing, at: index, old[index], nil) }
        for index in extra { self.add(.extra, at: index, nil, new[index]) }
    }

    private mutating func add(_ kind: Difference.Kind, at index: Int, _ old: JSONValue?, _ new: JSONValue?) {
        self.steps.append(.index(index))
        self.add(kind, old, new)
        self.steps.removeLast()
    }

    /// Compares the elements that have the same value of the key, and gives back the places of those without one, or with one
    /// that occurs twice.
    private mutating func compareByKey(
        _ old: [JSONValue], _ new: [JSONValue], key: String
    ) -> (old: [Int], new: [Int]) {
        var (first, second) = (KeyedElements(), KeyedElements())
        for index in old.indices { first.add(self.keyText(old[index], key), index) }
        for index in new.indices { second.add(self.keyText(new[index], key), index) }
        let repeated = first.repeated.union(second.repeated)
        for (text, index) in first.order where !repeated.contains(text) && !self.isOver {
            self.enter(.index(index))
            defer { self.leave() }
            if self.isIgnored { continue }
            if let other = second.places[text]?.first {
                self.compare(old[index], new[other])
            } else {
                self.add(.missing, old[index], nil)
            }
        }
        for (text, index) in second.order where first.places[text] == nil && !repeated.contains(text) {
            guard !self.isOver else { break }
            if !self.isIgnored(.index(index)) { self.add(.extra, at: index, nil, new[index]) }
        }
        return (
            (first.without + repeated.flatMap { first.places[$0] ?? [] }).sorted(),
            (second.without + repeated.flatMap { second.places[$0] ?? [] }).sorted()
        )
    }

    private mutating func keyText(_ element: JSONValue, _ key: String) -> ByteText? {
        guard case .object(let members) = element.content else { return nil }
        let wanted = ByteText(key)
        let values = members.filter { ByteText($0.name) == wanted }
        guard values.count == 1 else { return nil }
        var text = ""
        // Rules are about paths from the root, and this text only names the element.
        var plain = JSONComparison(rules: Self.plainRules)
        plain.writeCanonical(values[0].value, into: &text)
        self.work += plain.work
        return ByteText(text)
    }

    /// With tolerances: the greatest number of pairs that are alike are taken away, which are as many from either side.
    private mutating func pair(
        _ old: [JSONValue], _ missing: inout [Int], _ new: [JSONValue], _ extra: inout [Int]
    ) {
        var partners: [[Int]] = []
        for index in missing {
            self.enter(.index(index))
            partners.append(extra.indices.filter { self.isAlike(old[index], new[extra[$0]]) })
            self.leave()
            if self.isOver { return }
        }
        var matching = Matching(partners: partners, others: extra.count)
        matching.run(work: &self.work)
        if self.work > Self.stepLimit { self.isCut = true }
        missing = missing.indices.filter { !matching.hasPartner($0) }.map { missing[$0] }
        extra = extra.indices.filter { matching.owner[$0] == nil }.map { extra[$0] }
    }

    // MARK: canonical text

    /// Writes the value so that what is alike without tolerances is the same text.
    private mutating func writeCanonical(_ value: JSONValue, into text: inout String) {
        self.spend()
        guard self.work <= Self.stepLimit else { return }
        switch value.content {
        case .null: text += "n"
        case .bool(let value): text += value ? "t" : "f"
        case .number(let digits): text += DecimalNumber(digits)?.canonical ?? digits
        case .string(let string): text += "\"\(string.utf8.count):" + string
        case .array(let elements):
            var texts = self.texts(elements)
            if self.unordered.match != nil { texts.sort() }
            text += "[\(texts.count):"
            for each in texts { text += each.text + "," }
        case .object(let members):
            var texts: [(name: ByteText, value: String)] = []
            for member in members {
                self.enter(.name(member.name))
                defer { self.leave() }
                if self.isIgnored { continue }
                var value = ""
                self.writeCanonical(member.value, into: &value)
                texts.append((ByteText(member.name), value))
            }
            // Of one name in written order: sorting keeps it.
            texts.sort { $0.name < $1.name }
            text += "{\(texts.count):"
            for each in texts { text += "\(each.name.text.utf8.count):\(each.name.text)\(each.value)," }
        }
    }
}
