package authentication

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/util/filesystem"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

const (
	// lookAgain is how often the file is read even if no change of it was seen.
	lookAgain = time.Minute
	// linger is the time that requests have to end with the issuers with which they
	// began, and issuerTimeout the time that new ones have to answer.
	linger, issuerTimeout = time.Minute, time.Minute
)

// Issuers knows the tokens of the OpenID Connect issuers that a file names.
type Issuers struct {
	// Anonymous is what the file says of those who bring nothing; nil if nothing.
	Anonymous *apiserver.AnonymousAuthConfig

	file    string
	loader  loader
	opts    Options
	read    string
	current atomic.Pointer[issuers]
}

// Options are what issuers work with.
type Options struct {
	// Audiences are the API server's.
	Audiences authenticator.Audiences
	// OwnIssuers are those of service account tokens, which the file may not name.
	OwnIssuers []string
	// ServerID tells this server from others in metrics.
	ServerID string
	Log      *slog.Logger
}

// issuers are those of one reading of the file.
type issuers struct {
	token   authenticator.Token
	healthy []func() error
	stop    context.CancelFunc
}

// NewIssuers reads the file. Issuers need not answer yet.
func NewIssuers(ctx context.Context, file string, opts Options) (*Issuers, error) {
	i := &Issuers{file: file, loader: newLoader(opts.OwnIssuers), opts: opts}
	data, c, err := i.loader.read(file)
	if err != nil {
		return nil, err
	}
	first, err := i.open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("authentication configuration %s: %w", file, err)
	}
	i.read, i.Anonymous = data, c.Anonymous
	i.current.Store(first)
	return i, nil
}

// AuthenticateToken asks the issuers of the last file that could be read.
func (i *Issuers) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	return i.current.Load().token.AuthenticateToken(ctx, token)
}

func (i *Issuers) open(ctx context.Context, c *apiserver.AuthenticationConfiguration) (*issuers, error) {
	ctx, stop := context.WithCancel(ctx)
	out := &issuers{stop: stop}
	var tokens []authenticator.Token
	for _, jwt := range c.JWT {
		o := oidc.Options{JWTAuthenticator: jwt, SupportedSigningAlgs: oidc.AllValidSigningAlgorithms(), DisallowedIssuers: i.opts.OwnIssuers, APIServerID: i.opts.ServerID}
		if jwt.Issuer.CertificateAuthority != "" {
			ca, err := dynamiccertificates.NewStaticCAContent("issuer", []byte(jwt.Issuer.CertificateAuthority))
			if err != nil {
				stop()
				return nil, fmt.Errorf("issuer %s: %w", jwt.Issuer.URL, err)
			}
			o.CAContentProvider = ca
		}
		a, err := oidc.New(ctx, o)
		if err != nil {
			stop()
			return nil, fmt.Errorf("issuer %s: %w", jwt.Issuer.URL, err)
		}
		tokens, out.healthy = append(tokens, a), append(out.healthy, a.HealthCheck)
	}
	out.token = authenticator.WrapAudienceAgnosticToken(i.opts.Audiences, union.NewFailOnError(tokens...))
	return out, nil
}

// Run follows changes of the file until ctx is done. One that cannot be read, or whose
// issuers do not answer, changes nothing.
func (i *Issuers) Run(ctx context.Context) {
	filesystem.WatchUntil(ctx, lookAgain, i.file, func() { i.reload(ctx) }, func(err error) {
		i.opts.Log.Warn("watch the authentication configuration", "file", i.file, "error", err)
	})
}

func (i *Issuers) reload(ctx context.Context) {
	data, c, err := i.loader.read(i.file)
	if data == i.read && data != "" {
		return
	}
	if err == nil && !reflect.DeepEqual(c.Anonymous, i.Anonymous) {
		err = errors.New("anonymous: cannot be changed while the server runs; restart it")
	}
	if err != nil {
		if data != "" {
			i.read = data // and tell it once
		}
		i.opts.Log.Error("the authentication configuration stays as it was", "file", i.file, "error", err)
		return
	}
	next, err := i.open(ctx, c)
	if err == nil {
		err = next.answer(ctx)
	}
	if err != nil {
		if next != nil {
			next.stop()
		}
		i.opts.Log.Error("the authentication configuration stays as it was; it is tried again", "file", i.file, "error", err)
		return
	}
	i.read = data
	last := i.current.Swap(next)
	time.AfterFunc(linger, last.stop)
	i.opts.Log.Info("the authentication configuration was read again", "file", i.file)
}

// answer waits until all issuers have told their keys.
func (s *issuers) answer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, issuerTimeout)
	defer cancel()
	for {
		var errs []error
		for _, check := range s.healthy {
			errs = append(errs, check())
		}
		err := errors.Join(errs...)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}
