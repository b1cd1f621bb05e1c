import HTTPWire
import Reactor
import Traffic

/// What is different for gRPC: how it is refused, how long it may take, and where its own status is found.
extension Exchange {
    /// Notes a request that says it is gRPC.
    func noteGRPC(_ head: RequestHead, _ source: UnsafeRawBufferPointer) {
        let fields = self.core.memory.fields.list
        let span = source.bindMemory(to: UInt8.self).span
        guard let type = fields.first(.contentType), GRPC.isType(span, type.value) else { return }
        self.isGRPC = true
        for index in 0..<fields.count
        where ASCII.equalsIgnoringCase(span, fields[index].name, lowercase: Self.timeoutName) {
            guard let milliseconds = GRPC.timeout(span, fields[index].value) else { continue }
            self.grpcDeadline = self.core.now.addingReportingOverflow(milliseconds).partialValue
        }
    }

    private static let timeoutName = Array("grpc-timeout".utf8)
    private static let statusName = Array("grpc-status".utf8)

    /// Until when an answer is waited for whose deadline of its own would be `deadline`.
    func shortened(_ deadline: UInt64) -> UInt64 {
        self.grpcDeadline > 0 ? min(deadline, self.grpcDeadline) : deadline
    }

    /// As gRPC is refused: 200, and its own status in the same head. `reason` is over for want of time that the client gave.
    func refusal(_ status: UInt16, _ reason: LocalReason, retryAfter: UInt64?) -> LocalAnswer.GRPCStatus {
        let isLate = reason == .responseTimeout && self.grpcDeadline > 0 && self.core.now >= self.grpcDeadline
        let number = isLate ? 4 : GRPC.status(ofHTTP: status)
        self.grpcStatus = Int8(number)
        return LocalAnswer.GRPCStatus(
            number: number, pushback: status == 429 ? (retryAfter ?? 1) * 1_000 : nil)
    }

    /// An answer without a body has its status in the head, which is in the worker's memory.
    func noteGRPCHead(_ source: UnsafeRawBufferPointer) {
        let fields = self.core.memory.fields.list
        let span = source.bindMemory(to: UInt8.self).span
        for index in 0..<fields.count
        where ASCII.equalsIgnoringCase(span, fields[index].name, lowercase: Self.statusName) {
            let value = UnsafeRawBufferPointer(rebasing: source[fields[index].value.bounds])
            self.grpcStatus = Int8(GRPC.status(value))
        }
    }

    /// Else in the trailers, which the last piece has left in the worker's memory.
    func noteGRPCTrailers(_ piece: BodyPiece) {
        guard piece.trailerBytes > 0 else { return }
        let lines = self.core.memory.frames[BodyFrames.trailerOffset...].prefix(piece.trailerBytes)
        if let status = GRPC.status(inLines: UnsafeRawBufferPointer(UnsafeMutableRawBufferPointer(rebasing: lines))) {
            self.grpcStatus = Int8(status)
        }
    }
}
