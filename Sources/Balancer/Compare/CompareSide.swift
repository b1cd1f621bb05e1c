import AsyncHTTPClient
import Comparison
import Control
import NIOCore
import NIOHTTP1

/// One of the two servers that are compared.
struct CompareSide: Sendable {
    /// Bytes of a body that are kept, as many as are read as JSON; of the rest there is a hash.
    private static let bodyLimit = 4 << 20

    /// Without a slash behind it.
    let base: String
    let client: HTTPClient
    let fields: [(name: String, value: String)]
    /// Seconds for a whole answer.
    let patience: Int64

    enum Reply: Sendable {
        case answer(Answer)
        /// In words.
        case none(String)

        var answer: Answer? {
            if case .answer(let answer) = self { return answer }
            return nil
        }
    }

    /// `http://HOST[:PORT][/PREFIX]`, the same with https, or HOST:PORT; nil if it is none of them.
    static func base(_ text: String) -> String? {
        var base = text
        while base.hasSuffix("/") { base.removeLast() }
        if AdminAddress.isAddress(base) { return "http://\(base)" }
        let scheme = base.lowercased().hasPrefix("http://") ? "http://" : "https://"
        guard base.lowercased().hasPrefix(scheme) else { return nil }
        let rest = base.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        guard !authority.isEmpty, rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
            !rest.contains(where: { "@?#".contains($0) })
        else { return nil }
        let port = authority.contains(":") && !authority.hasSuffix("]") ? String(authority) : "\(authority):80"
        return AdminAddress.isAddress(port) ? base : nil
    }

    func ask(_ request: ComparedRequest) async -> Reply {
        do {
            return .answer(try await self.exchange(request))
        } catch let error as HTTPClientError
            where error == .connectTimeout || error == .deadlineExceeded || error == .readTimeout
        {
            return .none("no answer within \(self.patience) s")
        } catch is TooSlow {
            return .none("no whole answer within \(self.patience) s")
        } catch {
            return .none(error.networkWords)
        }
    }

    private struct TooSlow: Error {}

    private func exchange(_ request: ComparedRequest) async throws -> Answer {
        let end = ContinuousClock.now + .seconds(self.patience)
        var question = HTTPClientRequest(url: self.base + request.target)
        question.method = HTTPMethod(rawValue: request.method)
        for (name, value) in self.fields { question.headers.replaceOrAdd(name: name, value: value) }
        if !question.headers.contains(name: "User-Agent") {
            question.headers.add(name: "User-Agent", value: "balancer-compare/\(BalancerVersion.current)")
        }
        let response = try await self.client.execute(question, timeout: .seconds(self.patience))
        var body: [UInt8] = []
        var length: UInt64 = 0
        // FNV-1a over all of it.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for try await piece in response.body {
            for byte in piece.readableBytesView { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
            length += UInt64(piece.readableBytes)
            if length <= Self.bodyLimit { body += piece.readableBytesView }
            guard ContinuousClock.now < end else { throw TooSlow() }
        }
        return Answer(
            status: UInt16(clamping: response.status.code),
            fields: response.headers.map { Answer.Field($0.name, $0.value) },
            body: length <= Self.bodyLimit ? .whole(body) : .digest(length: length, hash: hash))
    }
}
