/// A request's head, kept for a later attempt or the log: its bytes at the front of one block of memory and its fields at
/// the back, so that it is never parsed a second time.
///
///     │ head │ … free … │ field, field, … │
///
/// The block belongs to the caller, stays where it is while it is lent, and is given back by `clear`.
package struct HeadBlock {
    private var block = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var byteCount = 0
    private var fieldCount = 0
    /// Where the fields begin.
    private var fieldOffset = 0
    private var present = FieldNameSet()
    /// nil: nothing is kept. Its ranges point into `bytes`.
    package private(set) var head: RequestHead?

    package init() {}

    /// Bytes of a block that holds so much, wherever it begins.
    package static func room(bytes: Int, fields: Int) -> Int {
        bytes + fields * MemoryLayout<Field>.stride + MemoryLayout<Field>.alignment
    }

    /// Keeps a head, whose bytes `bytes` begins with, and its fields, which were parsed last. False if the block is too
    /// small: nothing is kept then. Bytes behind the head are not kept.
    package mutating func keep(
        _ head: RequestHead, fields: borrowing FieldTable, bytes: UnsafeRawBufferPointer,
        in block: UnsafeMutableRawBufferPointer
    ) -> Bool {
        precondition(self.head == nil && head.length <= bytes.count)
        let list = fields.list
        guard let offset = Self.fieldOffset(in: block, count: list.count), offset >= head.length else { return false }
        block.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[0..<head.length]))
        let kept = UnsafeMutableRawBufferPointer(rebasing: block[offset...]).bindMemory(to: Field.self)
        for index in 0..<list.count { kept.initializeElement(at: index, to: list[index]) }
        self.block = block
        self.byteCount = head.length
        self.fieldCount = list.count
        self.fieldOffset = offset
        self.present = list.present
        self.head = head
        return true
    }

    /// Forgets everything and gives the block back; nil if there was none.
    package mutating func clear() -> UnsafeMutableRawBufferPointer? {
        let block = self.block
        self = HeadBlock()
        return block.baseAddress == nil ? nil : block
    }

    /// The head; to be used before anything changes.
    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(self.block)[0..<self.byteCount])
    }

    /// As the table had them; to be used before anything changes.
    package var fields: FieldList {
        let kept = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(self.block)[self.fieldOffset...])
        return FieldList(
            UnsafeBufferPointer(rebasing: kept.bindMemory(to: Field.self)[0..<self.fieldCount]), present: self.present)
    }

    /// The last place, aligned for fields, where so many of them fit.
    private static func fieldOffset(in block: UnsafeMutableRawBufferPointer, count: Int) -> Int? {
        guard let base = block.baseAddress else { return nil }
        let size = count * MemoryLayout<Field>.stride
        guard size <= block.count else { return nil }
        let misaligned = Int(bitPattern: base + block.count - size) & (MemoryLayout<Field>.alignment - 1)
        let offset = block.count - size - misaligned
        return offset >= 0 ? offset : nil
    }
}
