import ArgumentParser
import AsyncHTTPClient
import Control
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// Follows the events of a running balancer.
struct EventFollower: Sendable {
    /// Why a stream is not, or no longer, to be had.
    enum Ended: Error {
        case refused(status: UInt, reason: String)
        case unreachable(String)
    }

    enum News: Sendable {
        case welcome(WelcomeBody)
        /// As it came, too.
        case state(EventBody, [UInt8])
    }

    /// Seconds without a message after which the connection is dead; one comes a second.
    private static let patience: Int64 = 6

    let options: AdminOptions

    /// Tells of each message until `take` answers that it has enough. Throws why it ended otherwise.
    func follow(_ take: @Sendable (News) async -> Bool) async throws {
        do {
            try await AdminClient(options: self.options).exchange(
                .GET, "/api/v1/events", headers: ["Accept": "text/event-stream"], silence: Self.patience
            ) { response in try await self.read(response, take) }
        } catch let ended as Ended {
            throw ended
        } catch let exit as ExitCode {
            throw exit
        } catch {
            throw Ended.unreachable(error.networkWords)
        }
    }

    private func read(_ response: HTTPClientResponse, _ take: @Sendable (News) async -> Bool) async throws {
        guard response.status == .ok else {
            let body = try await response.body.collect(upTo: 1 << 20)
            let reason = try? JSONDecoder().decode(ErrorBody.self, from: Data(body.readableBytesView)).error
            throw Ended.refused(status: response.status.code, reason: reason ?? response.status.reasonPhrase)
        }
        var cutter = EventCutter()
        for try await buffer in response.body {
            for message in try cutter.take(buffer.readableBytesView) {
                let news: News
                switch message.event {
                case "welcome":
                    news = .welcome(try JSONDecoder().decode(WelcomeBody.self, from: Data(message.data)))
                case "state":
                    news = .state(
                        try JSONDecoder().decode(EventBody.self, from: Data(message.data)), message.data)
                default: continue
                }
                if await take(news) { return }
            }
        }
        throw Ended.unreachable("it ended the stream")
    }
}
