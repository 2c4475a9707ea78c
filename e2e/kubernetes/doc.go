// Package kubernetes tests what `healthgate render kubernetes` writes: kustomize builds it, and the code of
// kube-apiserver reads, completes and validates it. No cluster runs it. The judges are heavy, so it is a module with a
// target of its own: make test-kubernetes.
package kubernetes
