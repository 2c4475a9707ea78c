package admin

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
)

// LoginVariable is the environment's variable that holds a login when no file does.
const LoginVariable = "HEALTHGATE_ADMIN_AUTH"

// Files are where the secrets of a protected admin lie; a name may be empty.
type Files struct {
	Login         string // USER:PASSWORD, or a bearer token
	CA, Cert, Key string // PEM
}

// Access is how a protected admin is reached. The zero value sends no login, and trusts the system's authorities.
type Access struct {
	authorization string
	secrets       *strings.Replacer // takes them out of a text; nil if there are none
	tls           *tls.Config
	certificates  string // that were read for it
}

// Open reads the files, and the login in the environment.
func (f Files) Open() (Access, error) {
	var a Access
	if f.Login != "" {
		text, err := head(f.Login)
		path := strings.HasPrefix(f.Login, "/") || strings.HasPrefix(f.Login, ".")
		if wrong := (*fs.PathError)(nil); (!path || strings.Contains(f.Login, ":")) && errors.As(err, &wrong) {
			// The name may be the login itself.
			return a, fmt.Errorf("--admin-auth-file: %w: give a file that holds the login", wrong.Err)
		}
		if err != nil {
			return a, fmt.Errorf("--admin-auth-file: %w", err)
		}
		if err := a.login(text); err != nil {
			return a, fmt.Errorf("--admin-auth-file: %s: %w", f.Login, err)
		}
	} else if text := os.Getenv(LoginVariable); text != "" {
		if err := a.login(text); err != nil {
			return a, fmt.Errorf("%s in the environment: %w", LoginVariable, err)
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return a, errors.New("--admin-cert-file and --admin-key-file: one is of no use without the other; give both")
	}
	if f.CA+f.Cert == "" {
		return a, nil
	}
	a.tls = &tls.Config{}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return a, fmt.Errorf("--admin-ca-file: %w", err)
		}
		if a.tls.RootCAs = x509.NewCertPool(); !a.tls.RootCAs.AppendCertsFromPEM(pem) {
			return a, fmt.Errorf("--admin-ca-file: %s: has no certificate in PEM form", f.CA)
		}
		a.certificates = string(pem)
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return a, fmt.Errorf("--admin-cert-file, --admin-key-file: %w", err)
		}
		a.tls.Certificates = []tls.Certificate{pair}
		a.certificates += string(slices.Concat(pair.Certificate...))
	}
	return a, nil
}

// TLS returns how https:// is spoken; nil where no file says it.
func (a Access) TLS() *tls.Config { return a.tls.Clone() }

// head reads a short file.
func head(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 64<<10))
	return string(text), err
}

// token is what follows "Bearer" (RFC 6750, section 2.1). It has no colon, which tells it from USER:PASSWORD.
var token = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// login takes USER:PASSWORD or a bearer token. An error does not repeat the text.
func (a *Access) login(text string) error {
	text = strings.TrimPrefix(text, "\ufeff") // which some editors write first
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	user, password, basic := strings.Cut(text, ":")
	switch {
	case text == "":
		return errors.New("is empty; write USER:PASSWORD or a bearer token into it")
	case strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return errors.New("has more than one line, or a control character; " +
			"write USER:PASSWORD or a bearer token, and nothing else")
	case strings.EqualFold(user, "Authorization"):
		return errors.New("is a whole header; write USER:PASSWORD or a bearer token alone")
	case basic:
		coded := base64.StdEncoding.EncodeToString([]byte(text))
		a.authorization = "Basic " + coded
		a.hide(coded, password)
	case token.MatchString(text):
		a.authorization = "Bearer " + text
		a.hide(text)
	default:
		return errors.New("is neither USER:PASSWORD nor a bearer token; write the token alone, without the word Bearer")
	}
	return nil
}

// hide keeps texts out of messages: a server may repeat what it was sent.
func (a *Access) hide(secrets ...string) {
	var pairs []string
	for _, s := range secrets {
		if s != "" {
			pairs = append(pairs, s, "[hidden]")
		}
	}
	a.secrets = strings.NewReplacer(pairs...)
}
