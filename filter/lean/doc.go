// Package lean holds what the standard library does as well, with much more code than the plugin can carry: V8 compiles
// every byte of the module in each Envoy. Each package is fuzzed against its counterpart.
//
// What importing the standard package adds to an otherwise empty plugin, in bytes of .wasm (Go 1.25.0, TinyGo 0.41.1):
//
//	package            stands for                                 Go         TinyGo
//	addr               net/netip: ParsePrefix, ParseAddrPort      209,000    26,000
//	ascii              strings: ToLower, ToUpper, TrimSpace        58,000         0
//	duration, rfc3339  time: ParseDuration, Parse, Format         415,000    27,000
//	json               encoding/json: Unmarshal                 1,418,000   227,000
//
// A package may go when the standard one costs less than a tenth of that. json stands for two more things: it allocates
// nothing, and it says where a text is wrong.
package lean
