package layer

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

func TestCheckKey(t *testing.T) {
	t.Parallel()
	for key, good := range map[string]bool{
		"healthgate.maintenance": true, "a_b-C.9": true, "": false, "..": false, "a/b": false, "a b": false, "a&b=c": false,
		"k.{zone}": false, "é": false,
		".k": false, "k.reason": false, "-": true,
	} {
		t.Run(key, func(t *testing.T) {
			if err := CheckKey(key); (err == nil) != good {
				t.Errorf("%q: %v", key, err)
			}
		})
	}
}

// What fails on the way is told of the file that was asked for, not of one that is made beside it.
func TestNotWritten(t *testing.T) {
	t.Parallel()
	full := &os.SyscallError{Syscall: "copy_file_range", Err: syscall.ENOSPC}
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, "<nil>"},
		{&os.PathError{Op: "mkdir", Path: "/d/x.a", Err: os.ErrPermission},
			"/d/x can't be written: permission denied; do it as a user who may write in /d"},
		{&os.PathError{Op: "write", Path: "/d/./x.a/key", Err: full},
			"/d/x can't be written: no space left on device; it is unchanged: free some space or inodes in /d, and do " +
				"it again"},
		{errors.Join(&os.PathError{Op: "write", Path: "/d/x.a/key", Err: syscall.EFBIG}, full),
			"/d/x can't be written: file too large; it is unchanged: raise the limit of this shell, ulimit -f, and do " +
				"it again"},
		{&os.LinkError{Op: "rename", Old: "/d/x.a.link", New: "/d/x", Err: syscall.EROFS},
			"/d/x can't be written: read-only file system"},
		{&os.LinkError{Op: "renameat", Old: ".x.next", New: "x", Err: syscall.EBUSY}, "/d/x can't be written: device or " +
			"resource busy; it is unchanged: no other file can take the place of one that is mounted, so mount its folder"},
		{unread(folder{path: "/d/x.b"}, &os.PathError{Op: "openat", Path: "key", Err: os.ErrPermission}),
			"/d/x.b/key can't be read: permission denied"},
	} {
		t.Run(test.want, func(t *testing.T) {
			if got := fmt.Sprint(notWritten("/d/x", test.err)); got != test.want {
				t.Errorf("%v: %s\nwant %s", test.err, got, test.want)
			}
		})
	}
}
