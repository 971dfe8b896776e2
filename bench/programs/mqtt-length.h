/* The remaining length of an MQTT packet [MQTT-1.5.5-1]: seven bits a byte, the lowest first. */
#ifndef MQTT_LENGTH_H
#define MQTT_LENGTH_H

/* Writes it and answers how many bytes it took, 4 at the most. */
static int put_length(unsigned char *to, int length) {
  int n = 0;
  do {
    unsigned char digit = length % 128;
    length /= 128;
    to[n++] = length > 0 ? digit | 128 : digit;
  } while (length > 0);
  return n;
}

#endif
