package hosttest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// SSHD is an SSH server inside the test: it runs commands on this machine, as the
// user of the test.
type SSHD struct {
	Address string
	// HostKey in authorized_keys form, and ClientKey as PEM.
	HostKey   string
	ClientKey []byte

	// Hang makes the server accept connections and say nothing.
	Hang bool
	// Password, when not empty, opens it too; AskPassword makes it ask for it in a
	// dialogue.
	Password    string
	AskPassword bool
	// Authority signs the user certificates that it accepts; with one it accepts no
	// bare key.
	Authority ssh.PublicKey

	// HostAuthority signs a certificate of its host key, which it shows too.
	HostAuthority ssh.Signer

	// CutInput, when not 0, closes the connection after so many bytes of input to one
	// command. SlowInput is how long it takes over every 32 KiB of it.
	CutInput  atomic.Int64
	SlowInput time.Duration
	// Says is what the login shell says before it comes to a command.
	Says string
	// Refuse makes it refuse every login.
	Refuse bool
	// DropSessions closes the connection as soon as a command is to be run.
	DropSessions bool
	// MaxSessions, when not 0, is how many sessions one connection may have at a time.
	MaxSessions int
	// HangForwards makes it accept connections to be forwarded and forward nothing.
	HangForwards bool

	listener       net.Listener
	signer         ssh.Signer
	client         ssh.PublicKey
	mu             sync.Mutex
	conns          []*line
	sessions, most int
	logins         int
	forwarded      []string
}

// NewSSHD makes the keys; Start serves.
func NewSSHD() (*SSHD, error) {
	_, hostKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	public, clientKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	s := &SSHD{}
	if s.signer, err = ssh.NewSignerFromKey(hostKey); err != nil {
		return nil, err
	}
	if s.client, err = ssh.NewPublicKey(public); err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(clientKey, "")
	if err != nil {
		return nil, err
	}
	s.ClientKey = pem.EncodeToMemory(block)
	s.HostKey = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.signer.PublicKey())))
	return s, nil
}

// EncryptedKey is ClientKey as a passphrase opens it.
func (s *SSHD) EncryptedKey(passphrase string) ([]byte, error) {
	key, err := ssh.ParseRawPrivateKey(s.ClientKey)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}

// Start listens on a loopback address.
func (s *SSHD) Start() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.listener, s.Address = ln, ln.Addr().String()
	go func() {
		for {
			accepted, err := ln.Accept()
			if err != nil {
				return
			}
			conn := &line{Conn: accepted}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			if !s.Hang {
				go s.serve(conn)
			}
		}
	}()
	return nil
}

// Drop closes every connection, and the client is told.
func (s *SSHD) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

// Mute lets every connection that is open fall silent, as a power cut does: nothing
// comes any more, and nobody is told. What runs goes on until the client closes.
func (s *SSHD) Mute() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.mute.Store(true)
	}
}

// line is a connection that can fall silent.
type line struct {
	net.Conn
	mute atomic.Bool
}

func (l *line) Read(p []byte) (int, error) {
	for {
		n, err := l.Conn.Read(p)
		if err != nil || !l.mute.Load() {
			return n, err
		}
	}
}

func (l *line) Write(p []byte) (int, error) {
	if l.mute.Load() {
		return len(p), nil
	}
	return l.Conn.Write(p)
}

// MostSessions is how many sessions there were at a time.
func (s *SSHD) MostSessions() int { s.mu.Lock(); defer s.mu.Unlock(); return s.most }

// Logins is how many there were.
func (s *SSHD) Logins() int { s.mu.Lock(); defer s.mu.Unlock(); return s.logins }

// Connections is how many are open.
func (s *SSHD) Connections() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.conns) }

// Forwarded are the addresses that connections were forwarded to.
func (s *SSHD) Forwarded() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.forwarded)
}

// Stop ends the server.
func (s *SSHD) Stop() { s.listener.Close(); s.Drop() }

func (s *SSHD) serve(conn *line) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conns = slices.DeleteFunc(s.conns, func(c *line) bool { return c == conn })
	}()
	cfg := s.config()
	cfg.AddHostKey(s.signer)
	if s.HostAuthority != nil {
		cfg.AddHostKey(s.certified())
	}
	_, channels, requests, err := ssh.NewServerConn(conn, cfg)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.logins++
	s.mu.Unlock()
	go ssh.DiscardRequests(requests)
	var open atomic.Int64 // sessions
	for nc := range channels {
		if nc.ChannelType() == "direct-tcpip" {
			go s.forward(nc)
			continue
		}
		if nc.ChannelType() != "session" {
			nc.Reject(ssh.UnknownChannelType, "sessions and direct-tcpip only") //nolint:errcheck // the client sees it
			continue
		}
		if s.MaxSessions > 0 && open.Load() >= int64(s.MaxSessions) {
			nc.Reject(ssh.ConnectionFailed, "open failed") //nolint:errcheck // the client sees it
			continue
		}
		ch, requests, err := nc.Accept()
		if err != nil {
			return
		}
		open.Add(1)
		go func() {
			defer open.Add(-1)
			s.session(conn, ch, requests)
		}()
	}
}

func (s *SSHD) session(conn net.Conn, ch ssh.Channel, requests <-chan *ssh.Request) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for req := range requests {
		var payload struct{ Value string }
		ssh.Unmarshal(req.Payload, &payload) //nolint:errcheck // empty for other requests
		switch {
		case req.Type == "exec" && s.DropSessions:
			conn.Close()
			return
		case req.Type == "exec":
			req.Reply(true, nil) //nolint:errcheck // the client is gone
			go s.exec(ctx, conn, ch, payload.Value)
		default:
			req.Reply(false, nil) //nolint:errcheck // the client is gone
		}
	}
}

// config is who may log in, and how.
func (s *SSHD) config() *ssh.ServerConfig {
	refused := errors.New("refused")
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if s.Refuse || !bytes.Equal(key.Marshal(), s.client.Marshal()) {
			return nil, refused
		}
		return nil, nil
	}}
	if s.Authority != nil {
		checker := ssh.CertChecker{IsUserAuthority: func(key ssh.PublicKey) bool { return bytes.Equal(key.Marshal(), s.Authority.Marshal()) }}
		cfg.PublicKeyCallback = checker.Authenticate
	}
	switch {
	case s.Password != "" && s.AskPassword:
		cfg.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Name: ", "Password: "}, []bool{true, false})
			if err != nil || len(answers) != 2 || answers[1] != s.Password {
				return nil, refused
			}
			return nil, nil
		}
	case s.Password != "":
		cfg.PasswordCallback = func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if string(password) != s.Password {
				return nil, refused
			}
			return nil, nil
		}
	}
	return cfg
}

// certified is the host key with a certificate for the loopback address.
func (s *SSHD) certified() ssh.Signer {
	cert := &ssh.Certificate{Key: s.signer.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, s.HostAuthority); err != nil {
		panic(err) // a key of the test's own
	}
	signer, err := ssh.NewCertSigner(cert, s.signer)
	if err != nil {
		panic(err)
	}
	return signer
}

// input is what a command reads, as slowly as is asked for, until it is cut.
type input struct {
	ch   ssh.Channel
	s    *SSHD
	conn net.Conn
	n    int64
}

func (i *input) Read(p []byte) (int, error) {
	time.Sleep(i.s.SlowInput)
	if cut := i.s.CutInput.Load(); cut > 0 {
		if i.n == cut {
			i.conn.Close()
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), cut-i.n)]
	}
	n, err := i.ch.Read(p)
	i.n += int64(n)
	return n, err
}

// forward is what a jump host does: it connects to where the client wants to.
func (s *SSHD) forward(nc ssh.NewChannel) {
	var to struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
	if err := ssh.Unmarshal(nc.ExtraData(), &to); err != nil {
		nc.Reject(ssh.ConnectionFailed, err.Error()) //nolint:errcheck // the client sees it
		return
	}
	address := net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port)))
	out, err := net.Dial("tcp", address)
	if err != nil {
		nc.Reject(ssh.ConnectionFailed, err.Error()) //nolint:errcheck // the client sees it
		return
	}
	defer out.Close()
	ch, requests, err := nc.Accept()
	if err != nil {
		return
	}
	defer ch.Close()
	go ssh.DiscardRequests(requests)
	s.mu.Lock()
	s.forwarded = append(s.forwarded, address)
	s.mu.Unlock()
	if s.HangForwards {
		io.Copy(io.Discard, ch) //nolint:errcheck // the end of input
		return
	}
	go func() { io.Copy(out, ch); out.Close() }() //nolint:errcheck // the end of input
	io.Copy(ch, out)                              //nolint:errcheck // the end of output
}

func (s *SSHD) count(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions += by
	s.most = max(s.most, s.sessions)
}

func (s *SSHD) exec(ctx context.Context, conn net.Conn, ch ssh.Channel, line string) {
	defer ch.Close()
	s.count(1)
	defer s.count(-1) // before the client sees the end, and begins another
	if _, err := io.WriteString(ch, s.Says); err != nil {
		return
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	go func() { io.Copy(stdin, &input{ch: ch, s: s, conn: conn}); stdin.Close() }() //nolint:errcheck // the end of input
	status := 0
	if err := cmd.Run(); err != nil {
		status = 255
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			status = exit.ExitCode()
		}
	}
	ch.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, uint32(status))) //nolint:errcheck // the client is gone
}
