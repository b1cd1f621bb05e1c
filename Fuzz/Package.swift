// swift-tools-version: 6.2
import PackageDescription

// A package of its own: libFuzzer's flags must not touch the product. Named like the main one, so that `package` access
// reaches the sources that it shares with it by a link.
let checked: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .unsafeFlags(["-sanitize=fuzzer,address", "-parse-as-library", "-O"]),
]

let package = Package(
    name: "balancer",
    targets: [
        .target(name: "HTTPWire", path: "Sources/HTTPWire", swiftSettings: checked),
        .executableTarget(
            name: "FuzzHead", dependencies: ["HTTPWire"], swiftSettings: checked,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address"])]),
        .executableTarget(
            name: "FuzzChunked", dependencies: ["HTTPWire"], swiftSettings: checked,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address"])]),
    ]
)
