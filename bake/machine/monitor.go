package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// monitor is the control connection to QEMU, which speaks QMP: one JSON object a line, answers in the order of the
// commands, events in between.
type monitor struct {
	conn    net.Conn
	command sync.Mutex // one command at a time
	answers chan message
	reason  string // of the end; read it once answers is closed
}

type request struct {
	Execute   string            `json:"execute"`
	Arguments map[string]string `json:"arguments,omitempty"`
}

type message struct {
	Greeting json.RawMessage `json:"QMP"`
	Event    string          `json:"event"`
	Data     struct {
		Reason string `json:"reason"`
	} `json:"data"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Desc string `json:"desc"`
	} `json:"error"`
}

const commandLimit = 10 * time.Second

// newMonitor takes over our end of the socket and waits for QEMU to greet.
func newMonitor(socket *os.File, limit time.Duration) (*monitor, error) {
	conn, err := net.FileConn(socket)
	_ = socket.Close() // FileConn has made its own descriptor
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	q := &monitor{conn: conn, answers: make(chan message)}
	go q.read()
	if _, err := q.answer(limit); err != nil { // the greeting
		q.close()
		return nil, err
	}
	if err := q.execute("qmp_capabilities"); err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

func (q *monitor) close() { _ = q.conn.Close() }

// read sorts what QEMU says until it has no more to say.
func (q *monitor) read() {
	defer close(q.answers)
	for d := json.NewDecoder(q.conn); ; {
		var m message
		if err := d.Decode(&m); err != nil {
			return
		}
		switch m.Event {
		case "":
			q.answers <- m
		case "SHUTDOWN":
			q.reason = m.Data.Reason
		}
	}
}

// restart reports, of a QEMU that has ended, whether it did so because the machine was reset.
func (q *monitor) restart() bool {
	for range q.answers { // up to the end of what it said
	}
	return q.reason == "guest-reset" || q.reason == "host-qmp-system-reset"
}

func (q *monitor) answer(limit time.Duration) (message, error) {
	select {
	case m, ok := <-q.answers:
		if !ok {
			return message{}, errors.New("QEMU closed its control socket")
		}
		return m, nil
	case <-time.After(limit):
		q.close() // a late answer would be taken for that of the next command
		return message{}, fmt.Errorf("QEMU did not answer on its control socket within %s", limit)
	}
}

func (q *monitor) execute(command string) error {
	_, err := q.ask(command, nil)
	return err
}

func (q *monitor) ask(command string, arguments map[string]string) (json.RawMessage, error) {
	q.command.Lock()
	defer q.command.Unlock()
	line, err := json.Marshal(request{command, arguments})
	if err != nil {
		return nil, err
	}
	if _, err := q.conn.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("QEMU: %s: %w", command, err)
	}
	m, err := q.answer(commandLimit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	if m.Error != nil {
		return nil, fmt.Errorf("QEMU: %s: %s", command, m.Error.Desc)
	}
	return m.Return, nil
}

// forward is a line of QEMU's table of connections, such as
// "  TCP[HOST_FORWARD]  12       127.0.0.1 40961       10.0.2.15    22     0     0".
type forward struct {
	state       string // HOST_FORWARD is not a connection but the port that waits for some
	host, guest int    // ports
}

// forwards asks for the table. QEMU shows it to people only.
func (q *monitor) forwards() ([]forward, error) {
	raw, err := q.ask("human-monitor-command", map[string]string{"command-line": "info usernet"})
	if err != nil {
		return nil, err
	}
	var table string
	if err := json.Unmarshal(raw, &table); err != nil {
		return nil, fmt.Errorf("QEMU: info usernet: %w", err)
	}
	var all []forward
	row := regexp.MustCompile(`TCP\[(\w+)\]\s+-?\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)`)
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		host, errHost := strconv.Atoi(m[2])
		guest, errGuest := strconv.Atoi(m[3])
		if err := errors.Join(errHost, errGuest); err != nil {
			return nil, fmt.Errorf("QEMU: info usernet: %w", err)
		}
		all = append(all, forward{m[1], host, guest})
	}
	return all, nil
}

// ports asks which ports of this host lead to which ports of the guest.
func (q *monitor) ports() (map[int]string, error) {
	all, err := q.forwards()
	if err != nil {
		return nil, err
	}
	ports := map[int]string{}
	for _, f := range all {
		if f.state == "HOST_FORWARD" {
			ports[f.guest] = loopback(f.host)
		}
	}
	if ports[sshPort] == "" {
		return nil, fmt.Errorf("QEMU: info usernet: no port leads to SSH in %v", all)
	}
	return ports, nil
}
