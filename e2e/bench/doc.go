// Package bench measures healthgate beside what else answers health checks: `make bench`. README.md says how,
// results.md what came of it.
package bench
