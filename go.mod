module github.com/healthgate/healthgate

go 1.25.0

require (
	github.com/proxy-wasm/proxy-wasm-go-sdk v0.0.0-20250212164326-ab4161dcf924
	github.com/tetratelabs/wazero v1.12.0
	github.com/valyala/fastjson v1.6.7
	go.yaml.in/yaml/v3 v3.0.6
)

require (
	github.com/tetratelabs/proxy-wasm-go-sdk v0.24.0 // indirect
	golang.org/x/sys v0.44.0 // indirect
)
