import AsyncHTTPClient
import NIOCore
import NIOHTTP1

extension HTTPClient {
    /// Asks, and reads the whole answer, within so many milliseconds. The library's own deadline ends with the answer's head: a server
    /// that then sends a byte now and again would keep its caller waiting for days.
    ///
    /// - Throws: when that time is over, when the answer has more bytes than `limit`, or what the library throws.
    func answer(
        to request: HTTPClientRequest, within milliseconds: Int64, upTo limit: Int
    ) async throws -> (status: HTTPResponseStatus, body: [UInt8]) {
        try await withThrowingTaskGroup(of: (status: HTTPResponseStatus, body: [UInt8])?.self) { group in
            group.addTask {
                let response = try await self.execute(request, timeout: .milliseconds(milliseconds))
                let body = try await response.body.collect(upTo: limit)
                return (response.status, Array(body.readableBytesView))
            }
            group.addTask {
                try await _Concurrency.Task.sleep(for: .milliseconds(milliseconds))
                return nil
            }
            defer { group.cancelAll() }
            guard let answer = try await group.next() ?? nil else { throw HTTPClientError.deadlineExceeded }
            return answer
        }
    }
}
