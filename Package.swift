// swift-tools-version: 6.2
import PackageDescription

/// Every target is compiled alike: Swift 6 language mode, complete concurrency checking, no warning tolerated.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    // Debug builds check every access of a stored property for overlaps, and so do the scenarios; a release build trusts
    // them. One thread has each object of the data plane.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// Code that runs a few times a second at most, and is most of the program: small before fast.
let small: [SwiftSetting] = strict + [.unsafeFlags(["-Osize"], .when(configuration: .release))]

/// Release programs export nothing, for nothing is loaded into them, and have one copy of functions that are alike byte for byte
/// and whose addresses nobody compares.
let lean: [LinkerSetting] = [
    .unsafeFlags(["-Xlinker", "--no-export-dynamic", "-Xlinker", "--icf=safe"], .when(configuration: .release))
]

let package = Package(
    name: "balancer",
    products: [
        .executable(name: "balancer", targets: ["Balancer"]),
        .executable(name: "gateway", targets: ["Gateway"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
    ],
    targets: [
        // floor 0: pure decisions and codecs; the standard library only
        .target(name: "HTTPWire", swiftSettings: strict),
        .target(name: "JSONText", swiftSettings: strict),
        .target(name: "Migration", swiftSettings: strict),
        .target(name: "Traffic", swiftSettings: strict),

        // floor 1: one kind of I/O each
        .target(name: "CEpoll"),
        .target(name: "CSwaggerUI", exclude: ["Assets"], cSettings: [.headerSearchPath("Assets")]),
        .target(name: "CDashboard", exclude: ["Page"], cSettings: [.headerSearchPath("Page")]),
        .target(
            name: "COpenSSL", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .target(name: "CCrypt", linkerSettings: [.linkedLibrary("crypt")]),
        .target(name: "Reactor", dependencies: ["CCrypt", "CEpoll", "COpenSSL", "Traffic"], swiftSettings: strict),
        .target(
            name: "RoutesFile", dependencies: ["HTTPWire", "JSONText", "Migration", "Traffic"], swiftSettings: small),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .target(
            name: "Comparison", dependencies: ["CZlib", "JSONText", "Migration", "Traffic"], swiftSettings: strict),
        .target(name: "ProcessStart", swiftSettings: strict),
        .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .target(name: "HTTP2", dependencies: ["CNGHTTP2"], exclude: ["LIFECYCLE.md"], swiftSettings: strict),
        .systemLibrary(name: "CAllocator"),
        .systemLibrary(
            name: "CCompression", providers: [.apt(["libbrotli-dev", "libzstd-dev", "zlib1g-dev"])]),
        .target(name: "Compression", dependencies: ["CCompression", "Traffic"], swiftSettings: strict),
        .systemLibrary(name: "CMongoC", pkgConfig: "libmongoc-1.0", providers: [.apt(["libmongoc-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .target(name: "Documents", dependencies: ["CMongoC", "CSQLite"], swiftSettings: strict),
        .target(name: "Ledger", dependencies: ["CSQLite"], swiftSettings: small),

        // floor 2: the data plane, the control plane, the REST service; siblings never import each other
        .target(
            name: "Proxy", dependencies: ["Compression", "HTTPWire", "HTTP2", "Migration", "Traffic", "Reactor"],
            exclude: ["Exchange/LIFECYCLE.md"], swiftSettings: strict),
        .target(
            name: "Control",
            dependencies: [
                "CDashboard", "CEpoll",
                "Comparison", "HTTPWire", "JSONText", "Traffic", "Reactor", "RoutesFile", "Ledger", "Migration",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                // NIOSSL, which AsyncHTTPClient has in any case.
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                // Probes speak it.
                "HTTP2",
            ],
            swiftSettings: small),
        .target(
            name: "GatewayService",
            dependencies: [
                "CCompression", "CSwaggerUI", "Documents",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),

        // floor 3: arguments and wiring
        .target(
            name: "CFoundationStandIn",
            cSettings: [.define("FOUNDATION_STAND_IN", .when(configuration: .release))]),
        .executableTarget(
            name: "Balancer",
            dependencies: [
                "Proxy", "Control", "Comparison", "JSONText", "Migration", "RoutesFile", "Reactor", "Traffic",
                "ProcessStart", "CFoundationStandIn",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: small, linkerSettings: lean),
        .executableTarget(
            name: "Gateway",
            dependencies: [
                "GatewayService", "Documents", "ProcessStart", "CAllocator", "CFoundationStandIn",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict, linkerSettings: lean),

        // tests
        .target(
            name: "TestSupport", dependencies: ["CEpoll"], path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(
            name: "HTTP2Tests", dependencies: ["HTTP2", "TestSupport"], exclude: ["FuzzCases"], swiftSettings: strict),
        .testTarget(
            name: "HTTPWireTests", dependencies: ["HTTPWire", "TestSupport"], exclude: ["FuzzCases"],
            swiftSettings: strict),
        .testTarget(name: "JSONTextTests", dependencies: ["JSONText"], swiftSettings: strict),
        .testTarget(
            name: "MigrationTests", dependencies: ["Migration", "TestSupport", "Traffic"], swiftSettings: strict),
        .testTarget(name: "TrafficTests", dependencies: ["Traffic"], swiftSettings: strict),
        .testTarget(
            name: "CompressionTests", dependencies: ["CCompression", "Compression", "Traffic"], swiftSettings: strict),
        .testTarget(
            name: "ProxyTests",
            dependencies: [
                "Compression", "HTTPWire", "Proxy", "Reactor", "TestSupport", "Traffic",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ReactorTests", dependencies: ["COpenSSL", "Reactor", "TestSupport", "Traffic"],
            exclude: ["FuzzCases"], swiftSettings: strict),
        .testTarget(
            name: "RoutesFileTests", dependencies: ["JSONText", "Migration", "RoutesFile", "Traffic"],
            swiftSettings: strict),
        .testTarget(name: "LedgerTests", dependencies: ["Ledger"], swiftSettings: strict),
        .testTarget(
            name: "ComparisonTests", dependencies: ["CZlib", "Comparison", "JSONText", "Migration", "TestSupport"],
            exclude: ["FuzzCases"],
            swiftSettings: strict),
        .testTarget(
            name: "DocumentsTests",
            dependencies: ["Documents", "CMongoC"],
            exclude: ["WireServer"], swiftSettings: strict),
        .testTarget(
            name: "ControlTests",
            dependencies: [
                "Control", "Balancer", "CEpoll", "Traffic", "RoutesFile", "Reactor", "Ledger", "Migration",
                "Comparison", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "GatewayServiceTests",
            dependencies: [
                "GatewayService", "Documents", "CCompression", "CMongoC", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "Scenarios", dependencies: ["HTTP2", "TestSupport"], path: "Tests/Scenarios",
            exclude: ["KubernetesAPI", "Runbook"],
            swiftSettings: strict),
    ]
)
