// Package cpu keeps a server and the load on it on one CPU.
//
// Left alone, the scheduler moves them together and apart as it likes. On a virtual machine, where to wake another CPU
// takes longer than to answer a request, that changes the requests a second by a factor of five.
package cpu
