package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/spf13/pflag"
)

// admins are the flags that say which Envoys are asked, and how.
type admins struct {
	addresses []string
	files     admin.Files
	elsewhere bool // certificates are of use without an admin, too
}

func (a *admins) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&a.addresses, "admin", nil,
		"an Envoy's admin `ADDRESS`: http(s)://HOST:PORT, with a path before a proxy; HOST:PORT or unix:///PATH; "+
			"may be repeated (default "+render.DefaultAdmin+", unless another place is given)")
	f.StringVar(&a.files.Login, "admin-auth-file", "",
		"`FILE` with the login of the admins, USER:PASSWORD or a bearer token (default: what "+admin.LoginVariable+" holds)")
	f.StringVar(&a.files.CA, "admin-ca-file", "",
		"PEM `FILE` of the authorities of https:// admins (default: the system's)")
	f.StringVar(&a.files.Cert, "admin-cert-file", "", "PEM `FILE` with the client's certificate for https:// admins")
	f.StringVar(&a.files.Key, "admin-key-file", "", "PEM `FILE` with the key of that certificate")
}

// orDefault has the Envoy asked that render makes, unless another is given.
func (a *admins) orDefault() {
	if len(a.addresses) == 0 {
		a.addresses = []string{render.DefaultAdmin}
	}
}

// clients checks the flags. It connects to nothing.
func (a *admins) clients() ([]*admin.Client, error) {
	if len(a.addresses) == 0 {
		if a.files.Login != "" || !a.elsewhere && a.files != (admin.Files{}) {
			return nil, errors.New("--admin-auth-file, --admin-ca-file, --admin-cert-file, --admin-key-file: " +
				"are for --admin, and none is given")
		}
		return nil, nil
	}
	access, err := a.files.Open()
	if err != nil {
		return nil, err
	}
	var out []*admin.Client
	given := map[string]bool{}
	for _, address := range a.addresses {
		client, err := admin.New(address, access)
		if err != nil {
			return nil, fmt.Errorf("--admin: %w", err)
		}
		place := strings.TrimRight(strings.TrimPrefix(address, "http://"), "/")
		if given[place] { // it would be counted as two that are done
			return nil, fmt.Errorf("--admin: %s is given twice: is one of them to be another Envoy?", address)
		}
		given[place] = true
		out = append(out, client)
	}
	return out, nil
}
