/// Requests that wait for a slot of one upstream, first come first served. Entering, leaving from any place, and serving
/// the first cost the same whatever waits; nothing is allocated but for the room of the longest queue there was.
///
/// A wait has one place and one deadline: who is called to the front and finds no slot keeps both (`first` takes nobody
/// out), and who has to change the queue takes its deadline along.
package struct SlotQueue: Sendable {
    /// Where one token waits. Good until that token has left.
    package struct Place: Sendable, Equatable {
        fileprivate var node: Int32
    }

    private struct Node: Sendable {
        var token: UInt64
        var previous: Int32
        /// Of a free node: the next free one.
        var next: Int32
        var isFree: Bool
    }

    private static let none: Int32 = -1

    private var nodes: ContiguousArray<Node> = []
    private var head = Self.none
    private var tail = Self.none
    private var free = Self.none
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { self.count == 0 }

    /// The token that has waited longest.
    package var first: UInt64? { self.head < 0 ? nil : self.nodes[Int(self.head)].token }

    /// Takes the last place; nil if `limit` tokens wait already.
    package mutating func enter(_ token: UInt64, limit: Int) -> Place? {
        guard self.count < min(limit, Int(Int32.max)) else { return nil }
        let node = Node(token: token, previous: self.tail, next: Self.none, isFree: false)
        let index = self.free
        if index >= 0 {
            self.free = self.nodes[Int(index)].next
            self.nodes[Int(index)] = node
        } else {
            self.nodes.append(node)
        }
        let place = index >= 0 ? index : Int32(self.nodes.count - 1)
        if self.tail >= 0 { self.nodes[Int(self.tail)].next = place } else { self.head = place }
        self.tail = place
        self.count += 1
        return Place(node: place)
    }

    /// Gives up a place. Nothing happens if `token` does not wait there (any more).
    package mutating func leave(_ place: Place, _ token: UInt64) {
        let index = Int(place.node)
        guard self.nodes.indices.contains(index), !self.nodes[index].isFree, self.nodes[index].token == token else {
            return
        }
        let (previous, next) = (self.nodes[index].previous, self.nodes[index].next)
        if previous >= 0 { self.nodes[Int(previous)].next = next } else { self.head = next }
        if next >= 0 { self.nodes[Int(next)].previous = previous } else { self.tail = previous }
        self.nodes[index].isFree = true
        self.nodes[index].next = self.free
        self.free = place.node
        self.count -= 1
    }

    /// Takes the first out, for tokens that are good for nothing any more.
    package mutating func removeFirst() -> UInt64? {
        guard let token = self.first else { return nil }
        self.leave(Place(node: self.head), token)
        return token
    }
}
