import JSONText

/// Text that is equal if its bytes are. Swift's own equality takes `é` and `e` with an accent for the same.
struct ByteText: Hashable, Comparable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: Self, right: Self) -> Bool {
        let (left, right) = (left.text.utf8, right.text.utf8)
        guard left.count == right.count else { return false }
        let isEqual = left.withContiguousStorageIfAvailable { left in
            right.withContiguousStorageIfAvailable { right in Self.areEqual(left, right) }
        }
        // Text that does not lie in one piece is compared byte by byte.
        return (isEqual ?? nil) ?? left.elementsEqual(right)
    }

    /// Of one length, eight bytes at a time.
    private static func areEqual(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
        let (left, right) = (UnsafeRawBufferPointer(left), UnsafeRawBufferPointer(right))
        var place = 0
        while place + 8 <= left.count {
            guard
                left.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                    == right.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            else { return false }
            place += 8
        }
        while place < left.count {
            guard left[place] == right[place] else { return false }
            place += 1
        }
        return true
    }

    static func < (left: Self, right: Self) -> Bool { left.text.utf8.lexicographicallyPrecedes(right.text.utf8) }

    func hash(into hasher: inout Hasher) {
        var text = self.text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

/// Where an object has each of its names.
struct Members {
    /// The first place of each name.
    private var first: [ByteText: Int] = [:]
    /// All places of the names that occur more than once.
    private var repeated: [ByteText: [Int]] = [:]

    init(_ members: [JSONMember]) {
        self.first.reserveCapacity(members.count)
        for (index, member) in members.enumerated() {
            let name = ByteText(member.name)
            guard let first = self.first[name] else {
                self.first[name] = index
                continue
            }
            self.repeated[name, default: [first]].append(index)
        }
    }

    var hasRepeated: Bool { !self.repeated.isEmpty }

    func place(_ name: ByteText) -> Int? { self.first[name] }

    func places(_ name: ByteText) -> [Int] { self.repeated[name] ?? self.first[name].map { [$0] } ?? [] }
}

/// Elements by the value of their key.
struct KeyedElements {
    private(set) var places: [ByteText: [Int]] = [:]
    /// Each value once, in written order, with its first place.
    private(set) var order: [(text: ByteText, index: Int)] = []
    private(set) var repeated: Set<ByteText> = []
    /// Elements without a key.
    private(set) var without: [Int] = []

    mutating func add(_ text: ByteText?, _ index: Int) {
        guard let text else { return self.without.append(index) }
        if self.places[text] == nil { self.order.append((text, index)) } else { self.repeated.insert(text) }
        self.places[text, default: []].append(index)
    }
}

/// The largest matching between two lists (augmenting paths). Its size does not depend on which list comes first.
struct Matching {
    private let partners: [[Int]]
    /// Who has each of the others.
    private(set) var owner: [Int?]

    init(partners: [[Int]], others: Int) {
        self.partners = partners
        self.owner = [Int?](repeating: nil, count: others)
    }

    func hasPartner(_ index: Int) -> Bool { self.owner.contains(index) }

    mutating func run(work: inout Int) {
        for index in self.partners.indices {
            var visited = [Bool](repeating: false, count: self.owner.count)
            work += visited.count / 16
            _ = self.place(index, &visited, &work)
        }
    }

    private mutating func place(_ index: Int, _ visited: inout [Bool], _ work: inout Int) -> Bool {
        for other in self.partners[index] where !visited[other] {
            work += 1
            visited[other] = true
            if let present = self.owner[other], !self.place(present, &visited, &work) { continue }
            self.owner[other] = index
            return true
        }
        return false
    }
}
