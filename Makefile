# The two commands: `make run` and `make test`. Both install what is missing first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run demo test build bench lint format clean tsan fuzz setup

help:
	@echo "make run     build, then start the balancer, a core stand-in and two gateways on sample data"
	@echo "make demo    a migration in two minutes, whose new side turns bad and is taken out again"
	@echo "make test    run every test"
	@echo "make build   release binaries: .build/release/balancer and .build/release/gateway"
	@echo "make bench   measure against nginx, HAProxy, Envoy, Caddy and Traefik; writes docs/benchmarks.md"
	@echo "make lint    formatting, imports between floors, forbidden calls"
	@echo "make tsan    the scenario suite under ThreadSanitizer"
	@echo "make fuzz    libFuzzer on the parsers, 30 seconds each, and two minutes of odd requests to the gateway,"
	@echo "             and three to the admin API"
	@echo "make clean   remove build products"

setup:
	@scripts/setup.sh

run: build
	@scripts/run.sh

build: setup
	swift build -c release --static-swift-stdlib --product balancer
	swift build -c release --static-swift-stdlib --product gateway

demo: build
	@python3 scripts/demo.py .build/release/balancer

test: setup
	@scripts/lint.sh
	@scripts/test.sh

bench: build
	@scripts/install-peers.sh
	python3 Benchmarks/bench.py
	python3 Benchmarks/gateway/bench_gateway.py

lint: setup
	@scripts/lint.sh --format

format:
	swift format --in-place --parallel --recursive Sources Tests Package.swift

tsan: setup
	@scripts/tsan.sh

fuzz: build
	Fuzz/run.sh 30
	scripts/fuzz-gateway.sh
	scripts/fuzz-admin.sh

clean:
	rm -rf .build .build-* .build_* run
