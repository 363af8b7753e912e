// The suite is written for Node 18, which opens a connection for each call. Later ones keep it, and
// now and then the suite loses a call to its own broker, which is just closing the idle connection.
const http = require('node:http');

http.globalAgent = new http.Agent({ keepAlive: false });
