import {type RouteProp, useNavigation, useRoute} from '@react-navigation/native';
import makeQrCode from 'qrcode-generator';
import {useMemo, useState} from 'react';
import {View} from 'react-native';
import Svg, {Path, Rect} from 'react-native-svg';

import {Button} from '../components/Button';
import {Card, Screen} from '../components/Layout';
import {ServerForm} from '../components/ServerForm';
import {Confirm} from '../components/Sheet';
import {Words} from '../components/Words';
import {useServices, useSettings} from '../hooks/useServices';
import {useText} from '../i18n';
import type {Routes} from '../navigation/routes';
import {linkOfServer, tidyAddress} from '../services/settings';
import {radius, space} from '../theme/tokens';

export function ServerScreen() {
  const t = useText();
  const navigation = useNavigation();
  const {params} = useRoute<RouteProp<Routes, 'Server'>>();
  const {settings} = useServices();
  const {servers} = useSettings();
  const [asking, setAsking] = useState(false);
  const given = params?.url === undefined ? undefined : {address: tidyAddress(params.url), token: params.token ?? '', name: params.name ?? ''};
  // A link to a server that is known already leads to that one.
  const server = servers.find((one) => (given === undefined ? one.id === params?.id : one.address === given.address)) ?? null;
  const leave = () => {
    if (navigation.canGoBack()) navigation.goBack();
    else navigation.navigate('Tabs', {screen: 'Settings'});
  };
  return (
    <Screen>
      <Card title={server === null ? t('addServer') : server.name}>
        <ServerForm key={`${server?.id}${given?.address}`} server={server} {...(given && {given})} action={t('save')} onSaved={leave} />
      </Card>
      {server !== null && (
        <Card title={t('onPhone')}>
          <Words>{t('onPhoneText')}</Words>
          <QrCode text={linkOfServer(server)} label={t('qrCode', {address: server.address})} />
        </Card>
      )}
      {server !== null && <Button look="danger" icon="trash" label={t('removeServer')} onPress={() => setAsking(true)} />}
      <Confirm
        open={asking}
        title={t('removeServer')}
        text={t('removeServerText', {name: server?.name ?? ''})}
        action={t('remove')}
        onClose={() => setAsking(false)}
        onYes={() => {
          if (server === null) return;
          void settings.removeServer(server.id).then(leave);
        }}
      />
    </Screen>
  );
}

const quietZone = 4;
const codeSide = 220;

/** Black on white in every theme: many cameras do not read it the other way round. */
function QrCode({text, label}: {text: string; label: string}) {
  const {path, side} = useMemo(() => {
    const code = makeQrCode(0, 'M');
    code.addData(text);
    code.make();
    let d = '';
    const count = code.getModuleCount();
    for (let y = 0; y < count; y++) {
      for (let x = 0; x < count; x++) if (code.isDark(y, x)) d += `M${x + quietZone} ${y + quietZone}h1v1h-1z`;
    }
    return {path: d, side: count + 2 * quietZone};
  }, [text]);
  return (
    <View accessible role="img" accessibilityLabel={label} style={{alignSelf: 'center', borderRadius: radius.small, overflow: 'hidden', margin: space.small}}>
      <Svg width={codeSide} height={codeSide} viewBox={`0 0 ${side} ${side}`}>
        <Rect width={side} height={side} fill="#ffffff" />
        <Path d={path} fill="#000000" />
      </Svg>
    </View>
  );
}
