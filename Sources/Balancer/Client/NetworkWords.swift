import AsyncHTTPClient
import Glibc
import NIOCore
import NIOPosix

extension Error {
    /// Why nobody answers, or nothing can listen, as people say it: the system's own words, each once, and no name of a type.
    var networkWords: String {
        switch self {
        case let error as IOError where error.errnoCode != 0:
            return String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError:
            var words: [String] = []
            for attempt in error.connectionErrors.map(\.error.networkWords) where !words.contains(attempt) {
                words.append(attempt)
            }
            return words.isEmpty ? "there is no host \(error.host)" : words.joined(separator: ", ")
        case let error as HTTPClientError where error == .connectTimeout || error == .deadlineExceeded:
            return "no answer in time"
        default:
            return "\(self)"
        }
    }
}
