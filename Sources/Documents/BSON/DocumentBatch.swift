/// The documents that answer one query: whole BSON documents, one after the other, in one piece of memory.
///
/// A batch owns its bytes, so an answer of a thousand documents costs one array and not a thousand objects.
package struct DocumentBatch: Sendable {
    /// The documents' bytes, back to back.
    package private(set) var bytes: [UInt8]
    /// Where each document starts.
    package private(set) var starts: [Int]

    package init() {
        bytes = []
        starts = []
    }

    /// The documents in `bytes`, which must be whole and adjoining.
    package init(_ bytes: [UInt8]) throws(BSONError) {
        self.bytes = bytes
        self.starts = []
        let span = bytes.span
        var position = 0
        while position < span.count {
            starts.append(position)
            position += try span.documentLength(at: position)
        }
    }

    package var count: Int { starts.count }
    package var isEmpty: Bool { starts.isEmpty }

    /// Makes room for `count` bytes in all.
    package mutating func reserve(_ count: Int) {
        bytes.reserveCapacity(count)
    }

    /// Appends one document after checking its frame: length and terminator.
    package mutating func append(_ document: UnsafeRawBufferPointer) throws(BSONError) {
        let start = bytes.count
        bytes.append(contentsOf: document)
        do {
            guard try bytes.span.documentLength(at: start) == document.count else {
                throw BSONError.malformed(offset: start)
            }
        } catch {
            bytes.removeLast(bytes.count - start)
            throw .malformed(offset: start)
        }
        starts.append(start)
    }

    /// Appends the document that lies in `range` of other bytes, after checking its frame.
    package mutating func append(_ range: Range<Int>, of other: [UInt8]) throws(BSONError) {
        let start = bytes.count
        guard try other.span.documentLength(at: range.lowerBound) == range.count else {
            throw .malformed(offset: start)
        }
        bytes.append(contentsOf: other[range])
        starts.append(start)
    }

    /// Appends a copy of one document of another batch.
    package mutating func append(_ index: Int, of other: DocumentBatch) {
        starts.append(bytes.count)
        bytes.append(contentsOf: other.bytes[other.range(index)])
    }

    /// Where the first document starts, nil when there is none.
    package var first: Int? { starts.first }

    /// Takes the last document away again.
    package mutating func removeLast() {
        guard let start = starts.popLast() else { return }
        bytes.removeLast(bytes.count - start)
    }

    /// Where one document's bytes lie.
    package func range(_ index: Int) -> Range<Int> {
        starts[index]..<(index + 1 < starts.count ? starts[index + 1] : bytes.count)
    }

    /// The documents at these places, in this order.
    package func picking(_ indices: [Int]) -> DocumentBatch {
        var result = DocumentBatch()
        for index in indices { result.append(index, of: self) }
        return result
    }
}
